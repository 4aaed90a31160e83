/** A Unix stream socket that this daemon listens on, for its own user only. */

import type { Fd, LocalListener } from "../src/ports.ts";
import { type OwnedFd, ownFd } from "./fd.ts";
import type { Libc } from "./libc.ts";
import { cString } from "./memory.ts";
import { encodeUnixSockaddr } from "./sockaddr.ts";
import { openSocket, orClose } from "./socket.ts";
import { FfiStream } from "./stream.ts";

const BACKLOG = 8;
/** What a mode 0600 leaves out. */
const OTHERS = 0o177;

/** A listening socket with a place in the file system; `close` takes that away. */
export class FfiLocalListener implements LocalListener {
  readonly fd: Fd;

  private constructor(
    private readonly libc: Libc,
    private readonly owned: OwnedFd,
    private readonly path?: string,
  ) {
    this.fd = owned.number;
  }

  /**
   * Makes the socket, mode 0600. One that a daemon has left behind is replaced.
   *
   * @throws {SyscallError} naming the path: EADDRINUSE when somebody answers there, EEXIST when it is no socket.
   */
  static open(libc: Libc, path: string): FfiLocalListener {
    const { AF_UNIX, SOCK_STREAM } = libc.constants;
    removeStale(libc, path);
    const fd = openSocket(libc, AF_UNIX, SOCK_STREAM, 0);
    return orClose(fd, () => {
      const address = encodeUnixSockaddr(libc.system, path);
      const before = libc.c.umask(OTHERS); // with chmod(2) afterwards there would be a moment before it
      try {
        libc.check(libc.c.bind(fd.use(), address, address.length), `make the socket "${path}"`);
      } finally {
        libc.c.umask(before);
      }
      libc.check(libc.c.listen(fd.use(), BACKLOG), `listen on "${path}"`);
      return new FfiLocalListener(libc, fd, path);
    });
  }

  /** One that another process has opened, and takes away at the end. */
  static adopt(libc: Libc, fd: OwnedFd): FfiLocalListener {
    return new FfiLocalListener(libc, fd);
  }

  /** As the port says; one that has gone while it waited shows its end when it is read. */
  accept(): FfiStream | undefined {
    const { c, constants } = this.libc;
    const flags = constants.SOCK_CLOEXEC | constants.SOCK_NONBLOCK;
    const result = c.accept4(this.owned.use(), null, null, flags);
    if (result !== -1) return new FfiStream(this.libc, ownFd(this.libc, result, "accept a connection"));
    const error = this.libc.error("accept a connection");
    if (["EAGAIN", "EINTR", "ECONNABORTED"].includes(error.errno)) return undefined;
    throw error;
  }

  close(): void {
    if (this.path !== undefined) removeSocket(this.libc, this.path);
    this.owned.close();
  }
}

/** Takes a socket away; one that is gone already, somebody else has taken. */
export function removeSocket(libc: Libc, path: string): void {
  libc.c.unlink(cString(path));
}

/** Removes a socket that nobody listens on. @throws {SyscallError} */
function removeStale(libc: Libc, path: string): void {
  if (!isSocket(libc, path)) return;
  const { AF_UNIX, SOCK_STREAM } = libc.constants;
  const fd = openSocket(libc, AF_UNIX, SOCK_STREAM, 0);
  try {
    const address = encodeUnixSockaddr(libc.system, path);
    const isConnected = libc.c.connect(fd.use(), address, address.length) === 0;
    const errno = isConnected ? "" : libc.errno();
    if (errno === "ENOENT") return;
    const isTaken = isConnected || errno === "EAGAIN"; // somebody is there and has no time
    if (isTaken) throw libc.errorNamed(`make the socket "${path}", which another daemon has`, "EADDRINUSE");
    if (errno !== "ECONNREFUSED") throw libc.errorNamed(`make the socket "${path}"`, errno);
  } finally {
    fd.close();
  }
  libc.check(libc.c.unlink(cString(path)), `remove the stale socket "${path}"`);
}

/** A socket cannot be opened, whatever else stands there can be. @throws {SyscallError} EEXIST for something else. */
function isSocket(libc: Libc, path: string): boolean {
  const { O_CLOEXEC, O_NOCTTY, O_NONBLOCK, O_RDONLY } = libc.constants;
  const result = libc.c.open(cString(path), O_RDONLY | O_NONBLOCK | O_CLOEXEC | O_NOCTTY);
  if (result === -1) return libc.errno() !== "ENOENT";
  ownFd(libc, result, `open "${path}"`).close();
  throw libc.errorNamed(`make the socket "${path}" in the place of what is no socket`, "EEXIST");
}

/** The ways to other daemons of this host: Unix stream sockets and FIFOs, neither of which is ever waited for. */

import type { LocalDoors } from "../src/ports.ts";
import { S_IFIFO, S_IFMT } from "./constants.ts";
import { ownFd } from "./fd.ts";
import type { Libc } from "./libc.ts";
import { cString, unshared } from "./memory.ts";
import { readStatus } from "./owned_file.ts";
import { encodeUnixSockaddr } from "./sockaddr.ts";
import { openSocket, orClose } from "./socket.ts";
import { FfiStream } from "./stream.ts";

export class FfiLocalDoors implements LocalDoors {
  constructor(private readonly libc: Libc) {}

  /** As the port says; a connect to a Unix socket comes to its end at once. */
  connect(path: string): FfiStream {
    const { c, constants, system } = this.libc;
    const address = encodeUnixSockaddr(system, path);
    const fd = openSocket(this.libc, constants.AF_UNIX, constants.SOCK_STREAM, 0);
    return orClose(fd, () => {
      this.libc.check(c.connect(fd.use(), address, address.length), `connect to "${path}"`);
      return new FfiStream(this.libc, fd);
    });
  }

  /** As the port says; whatever is no FIFO is not written to (EINVAL). */
  writeFifo(path: string, bytes: Uint8Array): void {
    const { c, constants } = this.libc;
    const flags = constants.O_WRONLY | constants.O_NONBLOCK | constants.O_CLOEXEC | constants.O_NOCTTY;
    const fd = ownFd(this.libc, c.open(cString(path), flags), `open "${path}"`);
    try {
      const { mode } = readStatus(this.libc, fd, path);
      const what = `write to "${path}"`;
      if ((mode & S_IFMT) !== S_IFIFO) throw this.libc.errorNamed(`${what}, which is no FIFO`, "EINVAL");
      // up to PIPE_BUF (512 or more) bytes are taken whole or not at all
      this.libc.check(Number(c.write(fd.use(), unshared(bytes), BigInt(bytes.length))), what);
    } finally {
      fd.close();
    }
  }
}

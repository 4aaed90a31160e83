/**
 * TCP on the one poll: listen, accept, connect from an address, send and receive without waiting, drop at once.
 * Deno's own TCP can neither drop a peer that has stopped reading nor choose a local address or IPv6 only.
 */

import type { Connection, Fd, ListenAddress, Listener, Transport } from "../src/ports.ts";
import { type Address, formatAddress } from "../src/record/address.ts";
import { type OwnedFd, ownFd } from "./fd.ts";
import type { Libc } from "./libc.ts";
import { decodeSockaddr, encodeSockaddr, SOCKADDR_STORAGE_BYTES } from "./sockaddr.ts";
import { boundAddress, getOption, openSocket, orClose, setOption } from "./socket.ts";
import { FfiStream } from "./stream.ts";

const BACKLOG = 128;
/** accept(2) reports errors of the connection that it would have given; the next one may be fine. */
const CONNECTION_ERRORS = new Set([
  ...["EINTR", "ECONNABORTED", "EPROTO", "ENOPROTOOPT", "EOPNOTSUPP", "ENETDOWN", "ENETUNREACH"],
  ...["ENONET", "EHOSTDOWN", "EHOSTUNREACH", "ECONNRESET", "ETIMEDOUT"],
]);
/** shutdown(2): nothing more is sent. The same on all systems. */
const SHUT_WR = 1;
/** Broken connections that one accept passes over. */
const MOST_BROKEN = 64;

/** Transport over the C library. Addresses with a scope (fe80::…) are not possible. */
export class FfiTransport implements Transport {
  constructor(private readonly libc: Libc) {}

  listen(at: ListenAddress): FfiListener {
    const { libc } = this;
    const { SOL_SOCKET, SO_REUSEADDR, IPPROTO_IPV6, IPV6_V6ONLY } = libc.constants;
    const what = formatEndpoint(at);
    const fd = openTcp(libc, at.address);
    return orClose(fd, () => {
      setOption(libc, fd, SOL_SOCKET, SO_REUSEADDR, 1, "SO_REUSEADDR");
      // without it :: would take the IPv4 port too
      if (at.address.length === 16) setOption(libc, fd, IPPROTO_IPV6, IPV6_V6ONLY, 1, "IPV6_V6ONLY");
      bindTo(libc, fd, at, `listen on ${what}`);
      libc.check(libc.c.listen(fd.use(), BACKLOG), `listen on ${what}`);
      return new FfiListener(libc, fd);
    });
  }

  connect(to: ListenAddress, local: Address | undefined, segmentBytes?: number): FfiConnection {
    const { libc } = this;
    const fd = openTcp(libc, to.address);
    return orClose(fd, () => {
      if (local !== undefined) {
        const from = { address: local, port: 0 };
        bindTo(libc, fd, from, `connect to ${formatEndpoint(to)} from ${formatAddress(local)}`);
      }
      setNoDelay(libc, fd);
      if (segmentBytes !== undefined) {
        const { IPPROTO_TCP, TCP_MAXSEG } = libc.constants;
        setOption(libc, fd, IPPROTO_TCP, TCP_MAXSEG, segmentBytes, "TCP_MAXSEG");
      }
      const address = encodeSockaddr(libc.system, to);
      if (libc.c.connect(fd.use(), address, address.length) === -1) {
        const error = libc.error(`connect to ${formatEndpoint(to)}`);
        if (error.errno !== "EINPROGRESS" && error.errno !== "EINTR") throw error;
      }
      return new FfiConnection(libc, fd, to.address, true);
    });
  }
}

/** A listening socket; `at` is what it is really bound to (its port when 0 was asked for). */
export class FfiListener implements Listener {
  readonly fd: Fd;
  readonly at: ListenAddress;
  readonly #libc: Libc;
  readonly #owned: OwnedFd;

  constructor(libc: Libc, owned: OwnedFd) {
    this.#libc = libc;
    this.#owned = owned;
    this.fd = owned.number;
    this.at = boundAddress(libc, owned);
  }

  /**
   * The next connection; those that broke while they waited are passed over.
   *
   * @throws {SyscallError} EMFILE, ENFILE, ENOBUFS, ENOMEM: the connection stays in the queue and poll goes on
   * saying readable, so the caller leaves the listener out of the poll for a while.
   */
  accept(): FfiConnection | undefined {
    const { c, constants, system } = this.#libc;
    const from = new Uint8Array(SOCKADDR_STORAGE_BYTES);
    for (let broken = 0; broken < MOST_BROKEN; broken++) {
      const length = new Uint32Array([from.length]);
      const result = c.accept4(
        this.#owned.use(),
        from,
        length,
        constants.SOCK_CLOEXEC | constants.SOCK_NONBLOCK,
      );
      if (result !== -1) return this.#connection(result, decodeSockaddr(system, from.subarray(0, length[0])));
      const error = this.#libc.error("accept a connection");
      if (error.errno === "EAGAIN") return undefined;
      if (!CONNECTION_ERRORS.has(error.errno)) throw error;
    }
    return undefined;
  }

  close(): void {
    this.#owned.close();
  }

  #connection(result: number, from: ListenAddress | undefined): FfiConnection {
    const fd = ownFd(this.#libc, result, "accept a connection");
    return orClose(fd, () => {
      if (from === undefined) throw this.#libc.errorNamed("accept a connection", "EAFNOSUPPORT");
      setNoDelay(this.#libc, fd);
      return new FfiConnection(this.#libc, fd, from.address, false);
    });
  }
}

/** A connection. After `drop` or `close` every call throws a SyscallError (EBADF), but `fd` can still be read. */
export class FfiConnection extends FfiStream implements Connection {
  #connecting: boolean;

  constructor(libc: Libc, owned: OwnedFd, readonly remote: Address, connecting: boolean) {
    super(libc, owned);
    this.#connecting = connecting;
  }

  /** True until `finishConnect` has been asked, also when connect(2) came to its end at once. */
  get connecting(): boolean {
    return this.#connecting;
  }

  /** As the port says; `EINPROGRESS` when asked before poll said writable. */
  finishConnect(): string | undefined {
    const { SOL_SOCKET, SO_ERROR } = this.libc.constants;
    const code = getOption(this.libc, this.owned, SOL_SOCKET, SO_ERROR, "the outcome of a connect");
    if (code === 0 && !this.#hasPeer()) return "EINPROGRESS";
    this.#connecting = false;
    return code === 0 ? undefined : this.libc.nameOf(code);
  }

  /** One that is broken already stays so: the next `receive` tells. */
  finish(): void {
    this.libc.c.shutdown(this.owned.use(), SHUT_WR);
  }

  drop(): void {
    const linger = new Int32Array([1, 0]); // struct linger: on, 0 seconds
    const { SOL_SOCKET, SO_LINGER } = this.libc.constants;
    const result = this.libc.c.setsockopt(this.owned.use(), SOL_SOCKET, SO_LINGER, linger, 8);
    const failure = result === -1 ? this.libc.error("set SO_LINGER") : undefined;
    this.owned.close();
    if (failure !== undefined) throw failure;
  }

  #hasPeer(): boolean {
    const name = new Uint8Array(SOCKADDR_STORAGE_BYTES);
    return this.libc.c.getpeername(this.owned.use(), name, new Uint32Array([name.length])) === 0;
  }
}

/** `192.0.2.1 port 500`, as OpenBSD prints it. */
function formatEndpoint({ address, port }: ListenAddress): string {
  return `${formatAddress(address)} port ${port}`;
}

function openTcp(libc: Libc, address: Address): OwnedFd {
  const { AF_INET, AF_INET6, SOCK_STREAM } = libc.constants;
  return openSocket(libc, address.length === 4 ? AF_INET : AF_INET6, SOCK_STREAM, 0);
}

function bindTo(libc: Libc, fd: OwnedFd, at: ListenAddress, call: string): void {
  const address = encodeSockaddr(libc.system, at);
  libc.check(libc.c.bind(fd.use(), address, address.length), call);
}

function setNoDelay(libc: Libc, fd: OwnedFd): void {
  setOption(libc, fd, libc.constants.IPPROTO_TCP, libc.constants.TCP_NODELAY, 1, "TCP_NODELAY");
}

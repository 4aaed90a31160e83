/**
 * What the daemon needs of the world, as interfaces. src/process/ joins them with ffi/ and Deno; tests with fakes.
 * Everything here is synchronous but `Poller.wait`: one loop waits, all else is done at once.
 */

import type { Address } from "./record/address.ts";
import type { PolicyIdentity } from "./record/policy.ts";
import type { Progress } from "./record/progress.ts";
import type { IpsecRecord } from "./record/record.ts";
import type { Sa, SaIdentity } from "./record/sa.ts";

/** Time. No decision is ever taken by the wall clock. */
export interface Clock {
  /** Milliseconds of CLOCK_BOOTTIME, as of the last `look`: monotonic, counts sleep, never stepped. */
  bootMs(): number;
  /** Reads the clock, once for each turn of the loop. @returns `bootMs` */
  look(): number;
  /** Seconds since 1970 of CLOCK_REALTIME; only for what kernels state in wall time. */
  wallSeconds(): number;
}

export interface Random {
  bytes(length: number): Uint8Array;
}

/** A file descriptor of ours. */
export type Fd = number;

/** What to wait for on a descriptor. */
export interface Interest {
  readonly fd: Fd;
  readonly read: boolean;
  readonly write: boolean;
}

/** What a descriptor is ready for. `error` is POLLERR, POLLHUP or POLLNVAL. */
export interface Readiness extends Interest {
  readonly error: boolean;
}

/** The one poll(2) of the process. */
export interface Poller {
  /** Waits until a descriptor is ready, `wake` is called, or `timeoutMs` has gone by (-1: for ever). */
  wait(interests: readonly Interest[], timeoutMs: number): Promise<readonly Readiness[]>;
  /** Ends a wait from a signal handler or a timer. */
  wake(): void;
}

/** What a read gave. `overrun` is ENOBUFS: messages were lost, the next read goes on. */
export type Received =
  | { readonly kind: "data"; readonly bytes: Uint8Array }
  | { readonly kind: "empty" }
  | { readonly kind: "overrun" }
  /** End of file, or the connection is broken (`reason` is the errno name). */
  | { readonly kind: "closed"; readonly reason: string };

/** A raw kernel socket (netlink, PF_KEY) that keeps message boundaries. Closed exactly once. */
export interface KernelSocket {
  readonly fd: Fd;
  /** The id that the kernel gave this socket (netlink port id); 0 where there is none. */
  readonly portId: number;
  /** Sends one datagram. @throws {SyscallError} */
  send(bytes: Uint8Array): void;
  /** One datagram; its bytes are valid until the next receive. @throws {SyscallError} */
  receive(): Received;
  close(): void;
}

/** A connected stream socket on the poll; nonblocking. */
export interface ByteStream {
  readonly fd: Fd;
  /** Sends what the socket takes. @returns the number of bytes taken, 0 when it is full, "closed" when broken. */
  send(bytes: Uint8Array): number | "closed";
  /** What there is to read, at most `limit` bytes, valid until the next receive. */
  receive(limit: number): Received;
  /** Closes in order: what the socket has taken is still sent. */
  close(): void;
}

/** A TCP connection on the poll; nonblocking. */
export interface Connection extends ByteStream {
  readonly remote: Address;
  /** True until connect(2) has come to its end. */
  readonly connecting: boolean;
  /** Asks how the connect ended, once poll says writable. @returns undefined when up, else the errno name. */
  finishConnect(): string | undefined;
  /** Ends what is sent: the other side reads the end of the stream, and can still be read. */
  finish(): void;
  /** Closes at once: unsent data is dropped, the other side sees a reset. */
  drop(): void;
}

/** The ways to another daemon of this host. */
export interface LocalDoors {
  /** Connects to a Unix stream socket. @throws {SyscallError} naming the path; EAGAIN when too many wait there. */
  connect(path: string): ByteStream;
  /** Writes into a FIFO, whole or not at all. @throws {SyscallError} naming the path; ENXIO when nobody reads it. */
  writeFifo(path: string, bytes: Uint8Array): void;
}

/** A listening Unix stream socket on the poll. */
export interface LocalListener {
  readonly fd: Fd;
  /**
   * The next connection, or undefined when none waits.
   *
   * @throws {SyscallError} when there are no descriptors, say: the connection goes on waiting.
   */
  accept(): ByteStream | undefined;
  /** Also takes its place in the file system away. */
  close(): void;
}

/** A command that was started. */
export interface RunningCommand {
  /** Exit status, 128 and the number of the signal that has ended it; undefined while it runs. */
  readonly code: number | undefined;
  /** Ends it and the processes that it has started: asks first, and forces a little later. Once. */
  end(): void;
}

/** Starts commands of the configuration. */
export interface CommandRunner {
  /**
   * Runs a program, by its path, with arguments and without input. `say` is given what it writes, line by line, the
   * beginning of it when it is much. The poll is woken when it has ended.
   *
   * @throws {SyscallError} naming the path.
   */
  start(command: readonly string[], say: (line: string) => void): RunningCommand;
}

/** A listening TCP socket on the poll. */
export interface Listener {
  readonly fd: Fd;
  /** The next connection, or undefined when none waits. */
  accept(): Connection | undefined;
  close(): void;
}

/** Where to listen. `address` of all zeros: every address of that family (IPv6 ones with IPV6_V6ONLY). */
export interface ListenAddress {
  readonly address: Address;
  readonly port: number;
}

/** TCP as the daemon needs it. */
export interface Transport {
  /** @throws {SyscallError} naming the address. */
  listen(at: ListenAddress): Listener;
  /**
   * Starts a connect from `local` (undefined: the kernel chooses). `segmentBytes`: TCP segments have at most so many,
   * options included.
   *
   * @throws {SyscallError}
   */
  connect(to: ListenAddress, local: Address | undefined, segmentBytes?: number): Connection;
}

/** What happened in the kernel, in the order of its events. */
export type KernelEvent =
  /** There, whole: created, or changed and read back. */
  | { readonly kind: "record"; readonly record: IpsecRecord; readonly created: boolean }
  | { readonly kind: "sa-gone"; readonly id: SaIdentity; readonly expired: boolean }
  | { readonly kind: "policy-gone"; readonly id: PolicyIdentity; readonly expired: boolean }
  /** Packets have moved its counters; told now and then, not for each packet. */
  | { readonly kind: "progress"; readonly id: SaIdentity; readonly progress: Progress }
  /** All SAs of a protocol are gone; 0: of every protocol. */
  | { readonly kind: "sa-flush"; readonly protocol: number }
  /** All policies of a type (POLICY_TYPE) are gone; 255: of every type. */
  | { readonly kind: "policy-flush"; readonly type: number }
  /** A record that cannot be expressed, for the log: never its keys. */
  | { readonly kind: "unreadable"; readonly what: string; readonly reason: string }
  /** Events were lost or cannot be followed: dump and compare. */
  | { readonly kind: "resync"; readonly reason: string };

/** What to bring the kernel to. */
export type KernelChange =
  /** The record stands exactly like this afterwards, counters and age included, whatever was there. */
  | { readonly kind: "put"; readonly record: IpsecRecord }
  /** Gone afterwards; missing before is fine. */
  | { readonly kind: "delete-sa"; readonly id: SaIdentity }
  | { readonly kind: "delete-policy"; readonly id: PolicyIdentity };

/** How far an SA has to be at least. */
export interface Advance {
  readonly id: SaIdentity;
  readonly progress: Progress;
}

/** How a change ended. `reason` names what the kernel or the dialect cannot take. */
export type KernelResult = { readonly ok: true } | { readonly ok: false; readonly reason: string };

/**
 * What becomes of an outbound SA that this kernel holds as slave, when the node takes over: `exact` it goes on with
 * the counters that were put; `pfsync` with those that pfsync(4) has brought; `restart` from 0, so that a peer that
 * checks drops its packets until new ones are negotiated; `none` from 0 with nonces that were used before: it must
 * not be in the kernel (DESIGN section 7).
 */
export type Takeover = "exact" | "pfsync" | "restart" | "none";

/** A kernel's SADB and SPD. Own changes come back as results, never as events. */
export interface KernelIpsec {
  readonly name: string;
  /** The descriptor that is readable when events wait; undefined: call `readEvents` after every wait. */
  readonly fd: Fd | undefined;
  /** Events wait that the descriptor does not show. */
  readonly hasEvents?: boolean;
  /** At most about `limit` events; an empty list when none wait. */
  readEvents(limit: number): readonly KernelEvent[];
  /** Starts a dump (from its beginning, when one is under way). */
  beginDump(): void;
  /** Does a bounded part of the dump. @returns all records, oldest first, when it is complete. */
  continueDump(): readonly IpsecRecord[] | undefined;
  /** Does the changes in their order, one result for each. The caller bounds their number. */
  apply(changes: readonly KernelChange[]): readonly KernelResult[];
  /**
   * Moves the counters of SAs on, never back, and touches nothing else; one result for each. Only kernels with a
   * takeover that is `exact` can.
   */
  advance?(advances: readonly Advance[]): readonly KernelResult[];
  /**
   * Gives SAs that stand the limits of these, soft and hard, and touches nothing else: neither counters nor ages. One
   * result for each; what is gone meanwhile needs nothing.
   */
  limit?(sas: readonly Sa[]): readonly KernelResult[];
  takeover(sa: Sa): Takeover;
  close(): void;
}

/** Keeps a slave from sending on a mirrored SA (DESIGN section 7). */
export interface Guard {
  /** Makes exactly these local endpoints unable to send. @throws {SyscallError | KernelReplyError} */
  set(addresses: readonly Address[]): void;
}

/** The states of the original's run state machine. */
export type Role = "INIT" | "SLAVE" | "MASTER" | "FAIL";

/** A role, and by what it is known: for the log, without a full stop. */
export interface RoleState {
  readonly role: Role;
  readonly reason: string;
}

/** Says which role this node has. */
export interface RoleTracker {
  /** Readable when something may have changed; undefined: nothing ever does. */
  readonly fd: Fd | undefined;
  /**
   * Reads what waits on `fd` and then, if it concerns this node, the true state of now: however often that has changed
   * meanwhile, only what it has come to is seen.
   *
   * @throws {SyscallError | KernelReplyError | DecodeError} when the state cannot be read; the next call reads it.
   */
  look(): RoleState;
  /** It is asked nothing any more. */
  close(): void;
}

/** ioctl(2) of network interfaces, as BSD has it. */
export interface InterfaceControl {
  /**
   * Runs `request` on a structure. `pointee` is what the pointer at that offset is to point to.
   *
   * @throws {SyscallError}
   */
  ioctl(
    request: number,
    structure: Uint8Array,
    pointee?: { readonly offset: number; readonly bytes: Uint8Array },
  ): void;
}

/** Lowers this node's preference to become master (OpenBSD: carpdemote of a group; Linux: a file). */
export interface Demoter {
  /**
   * Demotes this node or lifts that; repeated from time to time. `isMaster` decides what is left when the daemon dies.
   *
   * @throws {SyscallError}
   */
  set(demoted: boolean, isMaster: boolean): void;
  /** The daemon ends: leaves what is right without it. @throws {SyscallError} */
  leave(): void;
}

/** What an IKE daemon is to do: negotiate, or keep still; `left`: what was taken from it is given back, for we end. */
export interface IkeOrder {
  readonly duty: "active" | "passive" | "left";
  /** Of this node, at the time of the order. */
  readonly epoch: number;
}

/** Carries an order to one IKE daemon, in tries that wait for nothing; when to try is the caller's. */
export interface IkeControl {
  /** The daemon, for the log. */
  readonly name: string;
  /** A try is given up when nothing has happened for so long. */
  readonly patienceMs: number;
  /** An order that has been carried out is carried out again after so long, for the daemon may forget; or Infinity. */
  repeatMs(order: IkeOrder): number;
  /** Whether something was taken from the daemon that `left` would give back. */
  readonly owes: boolean;
  /** Begins a try, when none is under way. */
  begin(order: IkeOrder): void;
  /** What the try waits for; undefined: for no descriptor. */
  readonly interest: Interest | undefined;
  /** Goes on with the try. @returns whether the order is carried out. @throws {SyscallError | DecodeError | IkeError} */
  proceed(): boolean;
  /** Whether the daemon has said something to the last `proceed`. Its descriptor may have other uses too. */
  readonly hasHeard?: boolean;
  /** Gives the try up. */
  cancel(): void;
}

/** Brings orders to all IKE daemons of this host, as the gateway gives them. */
export interface IkeCommander {
  /** What is to be done from now on. An order for what is done already changes nothing. */
  give(order: IkeOrder): void;
  readonly interests: readonly Interest[];
  /** Does what can be done now. @returns when there is more to do at the latest; Infinity: never. */
  tick(ready: ReadonlyMap<Fd, Readiness>): number;
  /** Gives back what was taken from the daemons, as far as that goes in this time. */
  leave(poller: Poller, limitMs: number): Promise<void>;
}

/** One figure for each kind of thing that happened, by name. */
export type Counters = Record<string, number>;

/**
 * Datagrams to the syslog daemon. syslog(3) would hold up the whole program while the daemon's reader stalls;
 * here a datagram that cannot be taken at once is dropped. The text is made in src/log.
 */

import type { Libc } from "./libc.ts";
import { LocalDatagrams } from "./local_datagrams.ts";
import { unshared } from "./memory.ts";

const SYSLOG_PATH = "/dev/log";

/** A connection to the syslog daemon. OpenBSD has a system call for it instead (not yet run there). */
export class SyslogSocket {
  readonly #libc: Libc;
  readonly #datagrams: LocalDatagrams;

  constructor(libc: Libc, path = SYSLOG_PATH) {
    this.#libc = libc;
    this.#datagrams = new LocalDatagrams(libc, path);
  }

  /** Sends `<PRI>…` as it is, without waiting. @returns false when it was dropped. */
  send(datagram: Uint8Array): boolean {
    if (this.#libc.c.sendsyslog === null) return this.#datagrams.send(datagram);
    return this.#libc.c.sendsyslog(unshared(datagram), BigInt(datagram.length), 0) === 0;
  }

  close(): void {
    this.#datagrams.close();
  }
}

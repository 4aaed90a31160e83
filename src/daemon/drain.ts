/** Reads what waits on a socket that only says when to look: the part that the trackers of all systems share. */

import { SyscallError } from "../errors.ts";
import type { KernelSocket } from "../ports.ts";

/** Datagrams read at once; when there are more, poll returns at once. */
const MOST_DATAGRAMS = 1000;

/**
 * Reads the datagrams that wait.
 *
 * @returns whether one of them concerns the caller, or some were lost.
 * @throws {SyscallError}, and what `concerns` throws.
 */
export function drain(socket: KernelSocket, concerns: (datagram: Uint8Array) => boolean): boolean {
  let found = false;
  for (let count = 0; count < MOST_DATAGRAMS; count++) {
    const received = socket.receive();
    if (received.kind === "empty") break;
    if (received.kind === "closed") throw new SyscallError("read a kernel socket", received.reason, 0);
    found ||= received.kind === "overrun" || concerns(received.bytes);
  }
  return found;
}

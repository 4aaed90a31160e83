/** What systemd tells a service by its environment: where to notify it, how often, and whether stderr is the journal's. */

import { Supervisor } from "../daemon/supervisor.ts";
import type { Libc } from "../../ffi/libc.ts";
import { LocalDatagrams } from "../../ffi/local_datagrams.ts";

/** undefined when nobody wants to be notified. */
export function openSupervisor(libc: Libc): Supervisor | undefined {
  const path = Deno.env.get("NOTIFY_SOCKET");
  if (path === undefined || !/^[/@]./.test(path)) return undefined;
  const socket = new LocalDatagrams(libc, path);
  const encoder = new TextEncoder();
  return new Supervisor({
    notify: (text) => void socket.send(encoder.encode(text)),
    watchdogMs: watchdogMs(),
  });
}

/** Of this process, if it is the one that is meant. */
function watchdogMs(): number | undefined {
  const microseconds = Number(Deno.env.get("WATCHDOG_USEC"));
  const pid = Deno.env.get("WATCHDOG_PID");
  const isMeant = pid === undefined || Number(pid) === Deno.pid;
  return isMeant && microseconds > 0 ? microseconds / 1000 : undefined;
}

/** Whether stderr goes to the journal: JOURNAL_STREAM names its device and inode, and is left to children with others. */
export function isJournalStderr(): boolean {
  const stream = Deno.env.get("JOURNAL_STREAM");
  if (stream === undefined) return false;
  try {
    const { dev, ino } = Deno.statSync("/proc/self/fd/2");
    return stream === `${dev}:${ino}`;
  } catch {
    return false; // no /proc, or stderr is closed
  }
}

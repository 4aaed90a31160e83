/** Where a process of the daemon logs: to stderr with `-d`, with priorities where that is the journal's, else to syslog. */

import { JournalHandler } from "../log/journal_handler.ts";
import { StderrHandler } from "../log/stderr_handler.ts";
import { SyslogHandler } from "../log/syslog_handler.ts";
import { type AdjustableLog, openLog } from "../log/verbosity.ts";
import type { Libc } from "../../ffi/libc.ts";
import { SyslogSocket } from "../../ffi/syslog.ts";
import type { Run } from "./run.ts";
import { isJournalStderr } from "./systemd.ts";

/** The log of this process. */
export function openProcessLog(libc: Libc, { debug, verbosity }: Run): AdjustableLog {
  if (debug) return openLog(new (isJournalStderr() ? JournalHandler : StderrHandler)(writeStderr), verbosity);
  const syslog = new SyslogSocket(libc);
  return openLog(new SyslogHandler(Deno.pid, (bytes) => syslog.send(bytes)), verbosity);
}

function writeStderr(line: string): void {
  try {
    Deno.stderr.writeSync(new TextEncoder().encode(line));
  } catch {
    // nobody reads the log any more (EPIPE): no reason to end, and nowhere to say so
  }
}

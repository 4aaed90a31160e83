/** The log with `-d` where stderr is the journal's: lines with their priority before them, see sd-daemon(3). */

import { BaseHandler } from "@std/log";
import { escapeControls } from "./escape.ts";
import { severityOf } from "./syslog_handler.ts";

/** Writes each message as a line of its own, `<6>text`, through `write`, which takes it whole. */
export class JournalHandler extends BaseHandler {
  constructor(private readonly write: (line: string) => void) {
    super("NOTSET", { formatter: ({ level, msg }) => `<${severityOf(level)}>${escapeControls(msg)}` });
  }

  override log(msg: string): void {
    this.write(`${msg}\n`);
  }
}

/** The log with `-d`: lines on stderr. */

import { BaseHandler } from "@std/log";
import { escapeControls } from "./escape.ts";

/** Writes each message as a line of its own through `write`, which takes it whole. */
export class StderrHandler extends BaseHandler {
  constructor(private readonly write: (line: string) => void) {
    super("NOTSET", { formatter: ({ msg }) => escapeControls(msg) });
  }

  override log(msg: string): void {
    this.write(`${msg}\n`);
  }
}

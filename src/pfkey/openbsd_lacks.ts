/** How the codecs say what of a record OpenBSD does not have. */

import { Refusal } from "./refusal.ts";

/** @throws {Refusal} when the record has something that OpenBSD has not; `what` completes "OpenBSD has no …". */
export function refuseIf(has: boolean, what: string): void {
  if (has) throw new Refusal(`OpenBSD has no ${what}`);
}

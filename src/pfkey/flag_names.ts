/** How refusals name the flags of an SA. */

import { SA_FLAG } from "../record/sa.ts";

/** The names of those that have one; if none has, all of them as a number. */
export function flagNames(flags: number): string {
  const names = Object.entries(SA_FLAG).filter(([, bit]) => (flags & bit) !== 0).map(([name]) => name);
  return names.length > 0 ? names.join(", ") : `0x${(flags >>> 0).toString(16)}`;
}

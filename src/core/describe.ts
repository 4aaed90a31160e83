/** Records as the log names them: never a key. */

import { formatAddress } from "../record/address.ts";
import { DIRECTION } from "../record/policy.ts";
import type { RecordIdentity } from "../record/record.ts";
import { PROTOCOL, type Selector } from "../record/sa.ts";

/** `SA esp 0xc0ffee01 to 192.0.2.10` or `policy out 10.0.0.0/8 to 198.51.100.0/24`. */
export function describe(identity: RecordIdentity): string {
  if (identity.kind === "policy") {
    const { direction, selector } = identity.id;
    return `policy ${nameOf(DIRECTION, direction)} ${describeSelector(selector)}`;
  }
  const { protocol, spi, dst, mark } = identity.id;
  const marked = mark.mask === 0 ? "" : ` mark 0x${mark.value.toString(16)}/0x${mark.mask.toString(16)}`;
  return `SA ${nameOf(PROTOCOL, protocol)} 0x${spi.toString(16).padStart(8, "0")} to ${
    formatAddress(dst)
  }${marked}`;
}

function describeSelector({ src, srcBits, dst, dstBits }: Selector): string {
  return `${formatAddress(src)}/${srcBits} to ${formatAddress(dst)}/${dstBits}`;
}

function nameOf(table: Readonly<Record<string, number>>, value: number): string {
  return Object.keys(table).find((name) => table[name] === value)?.toLowerCase() ?? `unknown(${value})`;
}

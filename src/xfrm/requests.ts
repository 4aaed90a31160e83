/** Payloads of the requests that name an SA, and what their answers tell. */

import { attributeHead } from "../layout/netlink.ts";
import { Writer } from "../layout/writer.ts";
import { familyOf } from "../record/address.ts";
import { NO_MARK, PROTOCOL, type SaIdentity } from "../record/sa.ts";
import { familyToKernel, writeMark } from "./selector.ts";
import { xfrmUsersaId } from "./structs.ts";

/**
 * Payload of GETSA and DELSA. The kernel takes the newest SA of that destination, protocol and SPI whose mark
 * *matches* the value: perhaps another one than named.
 */
export function encodeSaId(id: SaIdentity, writer: Writer = new Writer(undefined, 64)): Uint8Array {
  const start = writer.align(4).length;
  return writeSaId(writer, id).viewFrom(start);
}

const NOWHERE: SaIdentity = {
  dst: new Uint8Array(4),
  protocol: PROTOCOL.ESP,
  spi: 0,
  mark: NO_MARK,
  rdomain: 0,
};

/**
 * Payload of a GETSA that asks for nothing but carries attribute `type`, cut too short. A kernel that knows the
 * attribute complains of it (ERANGE or EINVAL), one that does not ignores it and finds no such SA (ESRCH).
 */
export function encodeAttributeProbe(type: number): Uint8Array {
  const writer = writeSaId(new Writer(undefined, 64), NOWHERE);
  return attributeHead(writer, type, 1).u8(0).align(4).finish();
}

function writeSaId(writer: Writer, { dst, protocol, spi, mark }: SaIdentity): Writer {
  xfrmUsersaId.write(writer, { daddr: dst, spi, family: familyToKernel(familyOf(dst)), proto: protocol });
  writeMark(writer, mark);
  return writer;
}

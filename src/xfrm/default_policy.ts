/** What becomes of packets that no policy is for (ip-xfrm(8), `setdefault`): XFRM_MSG_GETDEFAULT. */

import { Layout, u8 } from "../layout/layout.ts";
import { Reader } from "../layout/reader.ts";
import { Writer } from "../layout/writer.ts";

/** `struct xfrm_userpolicy_default`, 3 bytes. */
export const xfrmUserpolicyDefault = new Layout("xfrm_userpolicy_default", 3, { in: u8, fwd: u8, out: u8 });

const ACTIONS: Readonly<Record<number, string>> = { 0: "unspecified", 1: "block", 2: "accept" };

/** Payload of the request. */
export function encodeGetDefault(): Uint8Array {
  return new Writer().zeros(xfrmUserpolicyDefault.size).finish();
}

/** Payload of the answer, as text: `in accept, fwd accept, out block`. @throws {DecodeError} */
export function decodeDefault(body: Uint8Array): string {
  const actions = xfrmUserpolicyDefault.read(new Reader(body, xfrmUserpolicyDefault.name));
  return Object.entries(actions).map(([name, action]) => `${name} ${ACTIONS[action] ?? action}`).join(", ");
}

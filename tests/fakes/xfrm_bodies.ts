/** Kernel messages of XFRM made comparable: without what the kernel ignores on the way in. */

import type { Layout, ValuesOf } from "../../src/layout/layout.ts";
import { readAttributes } from "../../src/layout/netlink.ts";
import { Reader } from "../../src/layout/reader.ts";
import { Writer } from "../../src/layout/writer.ts";
import {
  XFRMA_ALG_AUTH,
  XFRMA_ETIMER_THRESH,
  XFRMA_LASTUSED,
  XFRMA_LTIME_VAL,
  XFRMA_PAD,
  XFRMA_POLICY_TYPE,
  XFRMA_REPLAY_THRESH,
} from "../../src/xfrm/constants.ts";
import { xfrmLifetimeCur, xfrmUserpolicyInfo, xfrmUsersaInfo } from "../../src/xfrm/structs.ts";
import type { Surroundings } from "../../src/xfrm/surroundings.ts";
import { D0_INDEX, TAKEN_SECONDS } from "../vectors/xfrm_vectors.ts";
import { encodeHex } from "./hex.ts";

/** The machine that the vectors are from. */
export const VECTOR_SURROUNDINGS: Surroundings = {
  nowSeconds: TAKEN_SECONDS,
  interfaces: {
    nameOf: (index) => index === D0_INDEX ? "d0" : undefined,
    indexOf: (name) => name === "d0" ? D0_INDEX : undefined,
  },
};

/** Head and attributes (hexadecimal, by type) of a message. */
interface Comparable<H> {
  readonly head: H;
  readonly attributes: ReadonlyMap<number, string>;
}

const NEVER = { bytes: 0n, packets: 0n, addTime: 0n, useTime: 0n };

/** NEWSA: the kernel takes counters and ages from LTIME_VAL and gives them in the head; ALG_AUTH says nothing new. */
export function comparableSa(body: Uint8Array): Comparable<ValuesOf<typeof xfrmUsersaInfo>> {
  const { head, attributes } = split(body, xfrmUsersaInfo);
  const ltime = new Writer();
  xfrmLifetimeCur.write(ltime, head.curlft);
  if (!attributes.has(XFRMA_LTIME_VAL)) attributes.set(XFRMA_LTIME_VAL, encodeHex(ltime.finish()));
  for (const type of [XFRMA_ALG_AUTH, XFRMA_LASTUSED, XFRMA_PAD, XFRMA_REPLAY_THRESH, XFRMA_ETIMER_THRESH]) {
    attributes.delete(type);
  }
  return { head: { ...head, curlft: NEVER }, attributes };
}

/** What the kernel dumps of a NEWSA that it has taken: LTIME_VAL stands in the head. */
export function dumpedSa(body: Uint8Array): Uint8Array {
  const copy = body.slice();
  const ltime = readAttributes(body.subarray(xfrmUsersaInfo.size), "NEWSA").get(XFRMA_LTIME_VAL);
  if (ltime !== undefined) copy.set(ltime, xfrmUsersaInfo.offsetOf("curlft"));
  return copy;
}

/** NEWPOLICY: age and index are the kernel's; POLICY_TYPE 0 says nothing. */
export function comparablePolicy(body: Uint8Array): Comparable<ValuesOf<typeof xfrmUserpolicyInfo>> {
  const { head, attributes } = split(body, xfrmUserpolicyInfo);
  if (/^0*$/.test(attributes.get(XFRMA_POLICY_TYPE) ?? "")) attributes.delete(XFRMA_POLICY_TYPE);
  return { head: { ...head, curlft: NEVER, index: 0 }, attributes };
}

function split<F extends ConstructorParameters<typeof Layout>[2]>(body: Uint8Array, layout: Layout<F>) {
  const reader = new Reader(body, layout.name);
  const head = layout.read(reader);
  const values = [...readAttributes(reader.rest(), layout.name)].toSorted(([a], [b]) => a - b);
  return { head, attributes: new Map(values.map(([type, value]) => [type, encodeHex(value)])) };
}

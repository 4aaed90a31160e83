/** Async events of the replay state (NEWAE, GETAE): how far an SA has come, read and written without touching the rest. */

import { attributeHead, type NetlinkAttributes, readBody, writeAttributeU32 } from "../layout/netlink.ts";
import { Reader } from "../layout/reader.ts";
import { Writer } from "../layout/writer.ts";
import { anyAddress, familyOf } from "../record/address.ts";
import type { Progress } from "../record/progress.ts";
import type { SaIdentity } from "../record/sa.ts";
import { XFRMA_LTIME_VAL, XFRMA_REPLAY_ESN_VAL, XFRMA_REPLAY_THRESH } from "./constants.ts";
import { readReplay, type ReplayForm, writeReplayState } from "./replay.ts";
import { saIdentity } from "./sa.ts";
import { familyToKernel, writeMark } from "./selector.ts";
import { xfrmAeventId, xfrmLifetimeCur } from "./structs.ts";

/** What the kernel says of an SA's progress, in a form that can be written back. */
export interface Aevent {
  readonly id: SaIdentity;
  readonly progress: Progress;
  /** How the kernel keeps the replay state of this SA. */
  readonly form: ReplayForm;
  /** Seconds since 1970. */
  readonly addTime: bigint;
  readonly useTime: bigint;
}

/** @returns undefined for an SA that is not synchronised. @throws {DecodeError} */
export function decodeAevent(body: Uint8Array): Aevent | undefined {
  const { head, attributes } = readBody(body, xfrmAeventId);
  const id = saIdentity({ id: head.saId, family: head.saId.family }, attributes);
  const lifetime = attributes.get(XFRMA_LTIME_VAL);
  if (id === undefined || lifetime === undefined) return undefined;
  const { bytes, packets, addTime, useTime } = xfrmLifetimeCur.read(
    new Reader(lifetime, xfrmLifetimeCur.name),
  );
  const { window, long, ...replay } = readReplay(attributes, 0);
  const form = { window, long, words: wordsOf(attributes) };
  return { id, progress: { ...replay, bytes, packets }, form, addTime, useTime };
}

/** Payload of GETAE, which is answered by a NEWAE. */
export function encodeGetAevent(id: SaIdentity, writer: Writer = new Writer()): Uint8Array {
  const start = writer.align(4).length;
  writeId(writer, id);
  return writer.viewFrom(start);
}

/** Payload of a NEWAE (to be sent with NLM_F_REPLACE) that sets the counters; all else stays as `now` says. */
export function encodeProgress(now: Aevent, progress: Progress, writer: Writer = new Writer()): Uint8Array {
  const start = writer.align(4).length;
  writeId(writer, now.id);
  writeReplayState(writer, now.form, progress);
  attributeHead(writer, XFRMA_LTIME_VAL, xfrmLifetimeCur.size);
  const { addTime, useTime } = now;
  xfrmLifetimeCur.write(writer, { bytes: progress.bytes, packets: progress.packets, addTime, useTime });
  return writer.viewFrom(start);
}

/** Payload of a NEWAE (to be sent with NLM_F_REPLACE) that sets after how many packets the kernel tells of them. */
export function encodeThreshold(id: SaIdentity, packets: number, writer: Writer = new Writer()): Uint8Array {
  const start = writer.align(4).length;
  writeId(writer, id);
  writeAttributeU32(writer, XFRMA_REPLAY_THRESH, packets);
  return writer.viewFrom(start);
}

/** The kernel looks an SA up by destination, SPI, protocol and a mark that matches; the rest is not looked at. */
function writeId(writer: Writer, { dst, protocol, spi, mark }: SaIdentity): void {
  const family = familyToKernel(familyOf(dst));
  xfrmAeventId.write(writer, {
    saId: { daddr: dst, spi, family, proto: protocol },
    saddr: anyAddress(6),
    flags: 0,
    reqid: 0,
  });
  writeMark(writer, mark);
}

/** Words of the bitmap, as many as the kernel has. */
function wordsOf(attributes: NetlinkAttributes): number {
  const value = attributes.get(XFRMA_REPLAY_ESN_VAL);
  return value === undefined ? 1 : new Reader(value, "XFRMA_REPLAY_ESN_VAL").u32();
}

/** `sasyncd verify` and `sasyncd resync` for people: what differs, in lines of at most 80 columns. */

import { count, type Paint, wrap } from "./text.ts";
import type { PeerComparison, VerifyView } from "./verify_view.ts";

/** Width of the labels. */
const LABEL = 12;

/** More records are only counted. */
const MOST_LISTED = 20;

export function printVerify(view: VerifyView, paint: Paint): string[] {
  const { kernel, refused, peers, result } = view;
  return [
    ...field("kernel", kernel.length === 0 ? "equal" : `differed in ${count(kernel.length, "record")}`),
    ...list(kernel, paint),
    ...refused === 0 ? [] : field("refused", count(refused, "record")).map(paint.alarm),
    ...peers.flatMap((peer) => ["", ...printPeer(peer, paint)]),
    "",
    result === "equal"
      ? "equal"
      : paint.alarm(result === "unknown" ? "not everything is known" : "different"),
  ];
}

function printPeer(
  { address, state, reason, records, others, premises, here, there }: PeerComparison,
  paint: Paint,
) {
  const more = others === 0 ? "" : `, ${count(others, "record")} there that are not like this here`;
  const compared = state === "different"
    ? `${count(records.length, "record")} here that are not like this there`
    : state;
  return [
    paint.head(`peer ${address}`),
    ...field("records", `${compared}${more}${reason === undefined ? "" : `: ${reason}`}`),
    ...list(records, paint),
    ...premises === "not compared" ? [] : field("otherwise", premises),
    ...here.flatMap((line) => field("  here", line)).map(paint.alarm),
    ...there.flatMap((line) => field("  there", line)).map(paint.alarm),
  ];
}

function list(records: readonly string[], paint: Paint): string[] {
  const rest = records.length - MOST_LISTED;
  const lines = records.slice(0, MOST_LISTED).flatMap((record) => wrap("  ", record));
  return [...lines, ...rest > 0 ? [`  and ${rest} more`] : []].map(paint.alarm);
}

function field(label: string, text: string): string[] {
  return wrap(label.padEnd(LABEL), text);
}

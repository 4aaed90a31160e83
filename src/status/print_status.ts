/** `sasyncd status` and `sasyncd show peers` for people: lines of at most 80 columns. */

import { count, duration, type Paint, table, wrap } from "./text.ts";
import type { LossView, PeerView, RecordCounts, RefusalView, StatusView } from "./view.ts";

/** Width of the labels. */
const LABEL = 12;

/** The whole status. */
export function printStatus(view: StatusView, paint: Paint): string[] {
  return [
    ...field("role", roleOf(view)),
    ...field(
      "epoch",
      view.epoch === view.greatestEpoch
        ? `${view.epoch}`
        : `${view.epoch}, the greatest heard of is ${view.greatestEpoch}`,
    ),
    ...followingOf(view),
    ...field("kernel", `${view.kernel}: ${counts(view.shared)} shared, ${counts(view.local)} local`),
    ...field("mirror", `${counts(view.mirror)}, ${count(view.waiting, "change")} waiting`),
    ...refusalsOf("refused", view.refused, paint),
    ...field("demotion", `${view.demoted ? "demoted" : "none"}: ${view.demotionReason}`),
    ...view.handover === "none" ? [] : field("handover", view.handover),
    ...inheritedOf(view),
    ...view.twoMasters === 0 ? [] : field("two masters", `seen ${count(view.twoMasters, "time")}`),
    ...view.laterMaster === undefined
      ? []
      : field("address", `stale address? ${view.laterMaster} is master in a later epoch`),
    ...view.loss === undefined ? [] : lossOf(view.loss, "this gateway", view.staleLeases, paint),
    ...view.peers.flatMap((peer) => ["", ...printPeer(peer, paint)]),
  ];
}

/** One line for each peer. */
export function printPeers(peers: readonly PeerView[]): string[] {
  const rows = peers.map((peer) => [
    peer.address,
    `${peer.connected ? "up" : "down"} ${roughly(peer.seconds)}`,
    peer.role ?? "-",
    `${peer.lagChanges ?? "-"}`,
    `${total(peer.refused)}`,
  ]);
  return table([["PEER", "SESSION", "ROLE", "LAG", "REFUSED"], ...rows]);
}

/** The greatest unit alone. */
function roughly(seconds: number): string {
  return duration(seconds).split(" ").slice(0, 2).join(" ");
}

function roleOf({ role, acting, roleSeconds, roleReason }: StatusView): string {
  const starting = role === "MASTER" && !acting ? " (starting)" : "";
  return `${role}${starting} for ${duration(roleSeconds)}: ${roleReason}`;
}

function followingOf({ role, following, synchronised }: StatusView): string[] {
  if (role === "MASTER") return [];
  if (following === undefined) return field("following", "nobody");
  return field("following", `${following}, ${synchronised ? "synchronised" : "not synchronised yet"}`);
}

function inheritedOf({ inheritedSas, inheritedFirstEndsSeconds: first }: StatusView): string[] {
  if (inheritedSas === 0) return [];
  const end = first === undefined ? "none has a time limit" : `the first ends in ${duration(first)}`;
  return field("inherited", `${count(inheritedSas, "SA")}, ${end}`);
}

function printPeer(peer: PeerView, paint: Paint): string[] {
  const { connected, seconds, about, protocol, sent, applied, received, lagChanges, lagMs } = peer;
  const state = connected ? `connected for ${duration(seconds)}` : `not connected for ${duration(seconds)}`;
  const more = about === "" ? "" : connected ? `, ${about}` : `: ${about}`;
  return [
    paint.head(`peer ${peer.address}`),
    ...painted(connected ? undefined : paint, field("session", `${state}, ${protocol}${more}`)),
    ...peer.role === undefined ? [] : field("role", `${peer.role} in epoch ${peer.epoch}`),
    ...lagChanges === undefined ? [] : field("lag", `${count(lagChanges, "change")}, ${lagMs} ms`),
    ...field("changes", `${sent} sent, ${applied} applied; ${received} received`),
    ...refusalsOf("refuses", peer.refused, paint),
    ...peer.snapshotSeconds === undefined ? [] : field("snapshot", `${duration(peer.snapshotSeconds)} ago`),
    ...peer.loss === undefined ? [] : lossOf(peer.loss, "it", 0, paint),
  ];
}

function refusalsOf(label: string, refusals: readonly RefusalView[], paint: Paint): string[] {
  return refusals.flatMap(({ reason, records }, i) =>
    painted(paint, field(i === 0 ? label : "", `${count(records, "record")}: ${reason}`))
  );
}

/** What is lost if `who` takes over. */
function lossOf(loss: LossView, who: string, staleLeases: number, paint: Paint): string[] {
  const { synchronised, changes, refused } = loss;
  const parts = [
    ...synchronised ? [] : ["what it has not been given yet"],
    ...changes === 0 ? [] : [count(changes, "change")],
    ...refused.length === 0 ? [] : [`${count(total(refused), "record")} refused`],
  ];
  const stale = staleLeases === 0 ? "" : `; ${count(staleLeases, "stale lease")} to be moved on first`;
  const lost = parts.length === 0 ? "nothing" : parts.join(", ");
  const lines = field("lost if", `${who} took over now: ${lost}${stale}`);
  return painted(parts.length === 0 ? undefined : paint, lines);
}

function painted(paint: Paint | undefined, lines: string[]): string[] {
  return paint === undefined ? lines : lines.map(paint.alarm);
}

function total(refusals: readonly RefusalView[]): number {
  return refusals.reduce((sum, { records }) => sum + records, 0);
}

function counts({ sas, policies }: RecordCounts): string {
  return `${count(sas, "SA")} and ${count(policies, "policy", "policies")}`;
}

function field(label: string, text: string): string[] {
  return wrap(label.padEnd(LABEL), text);
}

/** Gathers what this daemon tells of itself. Used by the control socket and the metrics, whenever somebody asks. */

import type { Dealings } from "../core/dealings.ts";
import type { Node } from "../core/node.ts";
import type { KernelIpsec } from "../ports.ts";
import type { LossView, PeerView, RecordCounts, RefusalView, StatusView } from "../status/view.ts";
import type { Acquaintance } from "./peer.ts";

/** Whom to ask. */
export interface Informants {
  readonly node: Node;
  readonly kernel: KernelIpsec;
  readonly peers: { acquaintance(name: string): Acquaintance };
}

/** The status as of now. Looks at every record once. */
export function statusOf({ node, kernel, peers }: Informants, nowMs: number): StatusView {
  const { membership, demotion, handover, mirror, inventory, roleSince } = node;
  const { role, acting, epoch, greatestEpoch, followed, twoMasters, laterMaster } = membership;
  const { synced, waiting, stale } = node.outlook(nowMs);
  const items = [...inventory.values()];
  const entries = [...mirror.values()];
  const refused = refusalsOf(entries.map((entry) => entry.refused).filter((reason) => reason !== undefined));
  const inherited = node.inheritance(nowMs);
  const mirrored = countKinds(entries);
  const loss = { synchronised: synced, changes: waiting, refused };
  return {
    role,
    roleSeconds: secondsSince(roleSince.atMs, nowMs),
    roleReason: roleSince.reason,
    acting,
    epoch,
    greatestEpoch,
    following: followed,
    synchronised: role !== "MASTER" && synced && waiting === 0,
    kernel: kernel.name,
    shared: countKinds(items.filter(({ shared }) => shared)),
    local: countKinds(items.filter(({ shared }) => !shared)),
    mirror: mirrored,
    refused,
    waiting,
    demoted: demotion.demoted,
    demotionReason: demotion.reason,
    handover: handover.result.state,
    inheritedSas: inherited.count,
    inheritedFirstEndsSeconds: inherited.firstEndsInMs === undefined
      ? undefined
      : Math.floor(inherited.firstEndsInMs / 1000),
    twoMasters,
    laterMaster,
    staleLeases: role !== "MASTER" && stale ? mirrored.sas : 0,
    loss: role === "MASTER" ? undefined : loss,
    peers: membership.peerNames.map((name) =>
      viewPeer(name, peers.acquaintance(name), node.dealings(name, nowMs), nowMs)
    ),
    events: { ...node.counters },
  };
}

/** A peer that has asked for everything is a slave of this node; a loss is that of its takeover. */
function viewPeer(address: string, known: Acquaintance, dealings: Dealings, nowMs: number): PeerView {
  const { said, lag, sent, applied, received, snapshotMs } = dealings;
  const refused = refusalsOf(dealings.refusals);
  const loss: LossView | undefined = lag && {
    synchronised: snapshotMs !== undefined,
    changes: lag.changes,
    refused,
  };
  return {
    address,
    protocol: known.protocol,
    connected: known.isConnected,
    seconds: secondsSince(known.sinceMs, nowMs),
    about: known.text,
    role: said?.role,
    epoch: said?.epoch,
    lagChanges: lag?.changes,
    lagMs: lag && Math.round(lag.ms),
    sent,
    applied,
    received,
    refused,
    snapshotSeconds: snapshotMs === undefined ? undefined : secondsSince(snapshotMs, nowMs),
    loss,
  };
}

/** How many for each reason, the commonest first. */
function refusalsOf(reasons: readonly string[]): RefusalView[] {
  const byReason = Map.groupBy(reasons, (reason) => reason);
  return [...byReason].map(([reason, all]) => ({ reason, records: all.length }))
    .toSorted((a, b) => b.records - a.records);
}

function countKinds(
  items: readonly { readonly identity: { readonly kind: "sa" | "policy" } }[],
): RecordCounts {
  const sas = items.reduce((sum, { identity }) => identity.kind === "sa" ? sum + 1 : sum, 0);
  return { sas, policies: items.length - sas };
}

function secondsSince(thenMs: number, nowMs: number): number {
  return Math.max(0, Math.floor((nowMs - thenMs) / 1000));
}

/** How a node stands with its peers, and what a takeover by it would meet: figures for the status, looked up when asked. */

import type { State } from "../wire/native/message.ts";
import type { NodeParts } from "./parts.ts";

/** How the synchronisation with one peer stands. Counts are since the start. */
export interface Dealings {
  /** Its last STATE on the session that is open. */
  readonly said: State | undefined;
  /** Of a slave of this node. */
  readonly lag: { readonly changes: number; readonly ms: number } | undefined;
  /** Changes sent to it, and those of them that its kernel has taken. */
  readonly sent: number;
  readonly applied: number;
  /** Changes that came from it. */
  readonly received: number;
  /** Why it refuses what there is, one reason for each record. */
  readonly refusals: readonly string[];
  /** When the last whole snapshot between the two had come to its end. */
  readonly snapshotMs: number | undefined;
}

/** What a slave lacks of a takeover without loss. */
export interface Outlook {
  /** Its mirror is the followed master's, or was that of the last one to the end. */
  readonly synced: boolean;
  /** Changes that have not come to the own kernel yet. */
  readonly waiting: number;
  /** The sequence numbers of all SAs would have to be moved on first. */
  readonly stale: boolean;
}

/** How a slave is behind; undefined: the peer has not asked for anything. */
export function lagOf({ master }: NodeParts, peer: string, nowMs: number): Dealings["lag"] {
  const outbox = master.outbox(peer);
  return outbox === undefined ? undefined : { changes: outbox.lagChanges, ms: outbox.lagMs(nowMs) };
}

export function dealingsOf(parts: NodeParts, peer: string, nowMs: number): Dealings {
  const { master, follower, membership } = parts;
  const given = master.snapshotMs(peer);
  const taken = follower.snapshotMs.get(peer);
  return {
    said: membership.said(peer),
    lag: lagOf(parts, peer, nowMs),
    ...master.done(peer),
    received: follower.received.get(peer) ?? 0,
    refusals: master.refusals(peer),
    snapshotMs: given === undefined || taken !== undefined && taken > given ? taken : given,
  };
}

export function outlookOf({ follower, queue, settings }: NodeParts, nowMs: number): Outlook {
  return {
    synced: follower.synced || follower.isLeftWhole,
    waiting: queue.size,
    stale: settings.canAdvance && follower.leases.areStale(nowMs),
  };
}

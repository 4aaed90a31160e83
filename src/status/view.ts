/**
 * What a daemon tells of itself, as plain data: the one form that `sasyncd status`, `--json` and the metrics print.
 * The names are documented in sasyncd(8) and stay. What is undefined is left out of the JSON.
 */

import type { Role } from "../ports.ts";

/** All that a gateway can be. */
export const ROLES: readonly Role[] = ["INIT", "SLAVE", "MASTER", "FAIL"];

/** How many records were refused for one reason. */
export interface RefusalView {
  readonly reason: string;
  readonly records: number;
}

/** What would be lost if a slave took over now. */
export interface LossView {
  /** Whether the slave has had everything once: if not, any SA may be missing. */
  readonly synchronised: boolean;
  /** Changes that are not in its kernel yet. */
  readonly changes: number;
  /** What its kernel does not hold. */
  readonly refused: readonly RefusalView[];
}

/** One peer. Counts are since the start of this daemon. */
export interface PeerView {
  readonly address: string;
  readonly protocol: "native" | "classic";
  readonly connected: boolean;
  /** How long it has been connected, or not. */
  readonly seconds: number;
  /** Its system when it is connected, else why it is not. */
  readonly about: string;
  /** What it says of itself. */
  readonly role?: Role | undefined;
  readonly epoch?: number | undefined;
  /** How far it is behind, when it is slave of this node: changes not applied yet, and the age of the oldest one sent. */
  readonly lagChanges?: number | undefined;
  readonly lagMs?: number | undefined;
  /** Changes sent to it, and those of them that are in its kernel. */
  readonly sent: number;
  readonly applied: number;
  /** Changes that came from it. */
  readonly received: number;
  /** What it refuses of what there is. */
  readonly refused: readonly RefusalView[];
  /** Since the end of the last whole snapshot, in either direction. */
  readonly snapshotSeconds?: number | undefined;
  /** If it took over now; of a slave of this node only. */
  readonly loss?: LossView | undefined;
}

/** SAs and policies. */
export interface RecordCounts {
  readonly sas: number;
  readonly policies: number;
}

/** One daemon. */
export interface StatusView {
  readonly role: Role;
  readonly roleSeconds: number;
  readonly roleReason: string;
  /** Whether a master may speak as such; one that starts waits for its peers. */
  readonly acting: boolean;
  readonly epoch: number;
  readonly greatestEpoch: number;
  /** The master that a slave follows. */
  readonly following?: string | undefined;
  /** Whether a slave has all that its master has, in its kernel too. */
  readonly synchronised: boolean;
  /** The kernel back end. */
  readonly kernel: string;
  /** In the own kernel: shared with the peers, and of this gateway alone. */
  readonly shared: RecordCounts;
  readonly local: RecordCounts;
  /** What should be there. */
  readonly mirror: RecordCounts;
  /** What the own kernel does not take of it. */
  readonly refused: readonly RefusalView[];
  /** Changes that wait for the own kernel. */
  readonly waiting: number;
  readonly demoted: boolean;
  readonly demotionReason: string;
  readonly handover: "none" | "moving" | "done" | "failed";
  /** SAs of masters before this one, and when the first ends. */
  readonly inheritedSas: number;
  readonly inheritedFirstEndsSeconds?: number | undefined;
  /** How often another master was seen beside this one. */
  readonly twoMasters: number;
  /** While this node is master: one that is master in a later epoch. The address here may be stale. */
  readonly laterMaster?: string | undefined;
  /** SAs whose sequence numbers a takeover would have to move on first: they are lost on no one, but take time. */
  readonly staleLeases: number;
  /** If this node, which is slave, took over now. */
  readonly loss?: LossView | undefined;
  readonly peers: readonly PeerView[];
  /** How often what happened since the start, by name. */
  readonly events: Readonly<Record<string, number>>;
}

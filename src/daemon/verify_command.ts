/** `sasyncd verify` and `sasyncd resync` on the control socket: begin a comparison, tell how it goes and what it found. */

import type { Node } from "../core/node.ts";
import type { PeerVerdict, Verdict } from "../core/verification.ts";
import { type PeerComparison, resultOf, type VerifyView } from "../status/verify_view.ts";
import type { Answer, ControlCommand, ControlTask } from "./control_server.ts";
import type { Premises } from "./premises.ts";

/** A peer that has not told its premises by then does not. */
const PREMISES_MS = 10_000;

export interface VerifyCommandOptions {
  readonly node: Node;
  /** undefined: there is nothing to compare but records. */
  readonly premises: Premises | undefined;
}

/** The commands by their names. A second client gets what the comparison that is under way finds. */
export function verifyCommands({ node, premises }: VerifyCommandOptions): Record<string, ControlCommand> {
  return {
    verify: (nowMs) => {
      node.verify(nowMs);
      premises?.compare(livePeers(node.verdict), nowMs);
      return new VerifyTask(node, premises, nowMs);
    },
    resync: (nowMs) => {
      node.resync(nowMs);
      node.verify(nowMs);
      return new VerifyTask(node, undefined, nowMs);
    },
  };
}

class VerifyTask implements ControlTask {
  #told = "";

  constructor(
    private readonly node: Node,
    private readonly premises: Premises | undefined,
    private readonly startMs: number,
  ) {}

  proceed(nowMs: number): Answer[] {
    const verdict = this.node.verdict;
    const missing = verdict === undefined ? [] : this.#missing(verdict, nowMs);
    if (verdict?.done === true && missing.length === 0) {
      return [{ data: this.#view(verdict) }, { ok: true }];
    }
    const text = standingOf(verdict, missing);
    if (text === this.#told) return [];
    this.#told = text;
    return [{ progress: text }];
  }

  /** Peers whose premises are not here yet. */
  #missing(verdict: Verdict, nowMs: number): readonly string[] {
    const { premises, startMs } = this;
    if (premises === undefined || nowMs - startMs >= PREMISES_MS) return [];
    return livePeers(verdict).filter((peer) => premises.difference(peer) === undefined);
  }

  #view({ kernel = [], refused, peers }: Verdict): VerifyView {
    const compared = peers.length > 0 ? peers : this.#lonely();
    const found = { kernel, refused, peers: compared.map((peer) => this.#comparison(peer)) };
    return { result: resultOf(found), ...found };
  }

  /** A slave that follows nobody cannot know. */
  #lonely(): PeerVerdict[] {
    const unknown = { state: "unknown", reason: "nobody is master", records: [], others: 0 } as const;
    return this.node.membership.peerNames.map((peer) => ({ peer, ...unknown }));
  }

  #comparison({ peer: address, state, reason, records, others }: PeerVerdict): PeerComparison {
    const difference = this.premises?.difference(address);
    const { here = [], there = [] } = difference ?? {};
    const isEqual = here.length + there.length === 0;
    const premises = this.premises === undefined
      ? "not compared"
      : difference === undefined
      ? "unknown"
      : isEqual
      ? "equal"
      : "different";
    // nobody waits any more
    const settled = state === "waiting" ? "unknown" : state;
    return { address, state: settled, reason, records, others, premises, here, there };
  }
}

function livePeers(verdict: Verdict | undefined): readonly string[] {
  return verdict?.peers.filter(({ state }) => state !== "unknown").map(({ peer }) => peer) ?? [];
}

function standingOf(verdict: Verdict | undefined, missing: readonly string[]): string {
  if (verdict?.kernel === undefined) return "comparing with the kernel";
  const waiting = verdict.peers.filter(({ state }) => state === "waiting").map(({ peer }) => peer);
  const peers = new Set([...waiting, ...missing]);
  return `comparing with ${[...peers].join(", ")}`;
}

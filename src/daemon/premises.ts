/**
 * What a takeover needs beside SAs and policies: gathers it here, and exchanges it with the peers when one of them
 * verifies. It is compared and told, never copied.
 */

import type { Node } from "../core/node.ts";
import { DecodeError, SyscallError } from "../errors.ts";
import { recordOf } from "../core/mirror.ts";
import { formatPrefix, type Prefix } from "../record/address.ts";
import { DIRECTION } from "../record/policy.ts";
import { MAX_LINES } from "../wire/native/catalog.ts";
import type { Message } from "../wire/native/message.ts";

/** Networks whose ways are looked at; the first ones by their text, so that all gateways take the same. */
const MOST_NETWORKS = 200;

/** Lines taken from a peer. */
const MOST_LINES = 2000;

/** What is asked of the system. */
export interface PremisesPorts {
  /** Facts of the kernel as lines. @throws {SyscallError | DecodeError} */
  kernel(networks: readonly Prefix[]): readonly string[];
  /** The files of `check file`, as lines with their digests. */
  files(): Promise<readonly string[]>;
}

export interface PremisesOptions {
  readonly node: Node;
  readonly ports: PremisesPorts;
  readonly send: (peer: string, messages: readonly Message[]) => void;
  readonly wake: () => void;
}

/** What differs between this gateway and a peer. */
export interface PremisesDifference {
  readonly here: readonly string[];
  readonly there: readonly string[];
}

export class Premises {
  #own: readonly string[] | undefined;
  /** Peers that have asked and are answered when all is known. */
  readonly #asking = new Set<string>();
  /** Lines of peers; complete when `last` has come. */
  readonly #theirs = new Map<string, { readonly lines: string[]; isComplete: boolean }>();
  #reading = false;

  constructor(private readonly options: PremisesOptions) {}

  /** Begins anew: reads what is here, and asks these peers. */
  compare(peers: readonly string[], nowMs: number): void {
    this.#theirs.clear();
    for (const peer of peers) {
      this.#theirs.set(peer, { lines: [], isComplete: false });
      this.options.send(peer, [{ type: "ask-premises" }]);
    }
    this.#read(nowMs);
  }

  /** What differs from a peer; undefined while that is not known. */
  difference(peer: string): PremisesDifference | undefined {
    const own = this.#own;
    const theirs = this.#theirs.get(peer);
    if (own === undefined || theirs?.isComplete !== true) return undefined;
    const { lines } = theirs;
    return {
      here: own.filter((line) => !lines.includes(line)),
      there: lines.filter((line) => !own.includes(line)),
    };
  }

  /** Takes a peer's message. @returns whether it was about this */
  hear(peer: string, message: Message, nowMs: number): boolean {
    if (message.type === "ask-premises") {
      this.#asking.add(peer);
      this.#read(nowMs);
      return true;
    }
    if (message.type !== "premises") return false;
    const theirs = this.#theirs.get(peer);
    if (theirs === undefined || theirs.isComplete) return true; // nobody has asked
    theirs.lines.push(...message.lines.slice(0, MOST_LINES - theirs.lines.length));
    theirs.isComplete = message.last;
    return true;
  }

  #read(nowMs: number): void {
    if (this.#reading) return;
    this.#reading = true;
    this.#own = undefined;
    this.options.ports.files().catch((error) => [`files: ${error instanceof Error ? error.message : error}`])
      .then((files) => {
        this.#reading = false;
        this.#own = [...this.#kernel(nowMs), ...files].toSorted();
        this.#answer();
        this.options.wake();
      });
  }

  #answer(): void {
    for (const peer of this.#asking) this.options.send(peer, partsOf(this.#own ?? []));
    this.#asking.clear();
  }

  #kernel(nowMs: number): readonly string[] {
    try {
      return this.options.ports.kernel(tunnelNetworks(this.options.node, nowMs));
    } catch (error) {
      if (!(error instanceof SyscallError || error instanceof DecodeError)) throw error;
      return [`kernel: ${error.message}`];
    }
  }
}

/** Where the outbound policies of the mirror lead, each network once. */
function tunnelNetworks({ mirror }: Node, nowMs: number): Prefix[] {
  const networks = new Map<string, Prefix>();
  for (const entry of mirror.values()) {
    if (entry.identity.kind !== "policy" || entry.identity.id.direction !== DIRECTION.OUT) continue;
    const record = recordOf(entry, nowMs);
    if (record.kind !== "policy" || record.policy.templates.length === 0) continue;
    const { dst, dstBits } = record.policy.selector;
    const network = { address: dst, bits: dstBits };
    networks.set(formatPrefix(network), network);
  }
  return [...networks].toSorted(([a], [b]) => a < b ? -1 : 1).slice(0, MOST_NETWORKS).map(([, one]) => one);
}

/** The lines in messages, of which the last says so. */
function partsOf(lines: readonly string[]): Message[] {
  const count = Math.max(1, Math.ceil(lines.length / MAX_LINES));
  return Array.from({ length: count }, (_, i) => ({
    type: "premises",
    lines: lines.slice(i * MAX_LINES, (i + 1) * MAX_LINES),
    last: i === count - 1,
  }));
}

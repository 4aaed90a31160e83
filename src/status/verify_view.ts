/** What a verification has found, as plain data: for `sasyncd verify`, `sasyncd resync` and their `--json`. */

/** The comparison with one peer. */
export interface PeerComparison {
  readonly address: string;
  readonly state: "equal" | "different" | "unknown";
  /** Why nothing is known. */
  readonly reason?: string | undefined;
  /** Records of this gateway that the peer has not, or not like this. */
  readonly records: readonly string[];
  /** How many records the peer has that this gateway has not, or not like this. */
  readonly others: number;
  /** What a takeover needs beside SAs and policies; not compared by `resync`. */
  readonly premises: "equal" | "different" | "unknown" | "not compared";
  /** Facts that are true here only, and there only. */
  readonly here: readonly string[];
  readonly there: readonly string[];
}

/** What came of it. */
export interface VerifyView {
  readonly result: "equal" | "different" | "unknown";
  /** Records in which the kernel differed from what was known of it. */
  readonly kernel: readonly string[];
  /** Records that the own kernel has refused. */
  readonly refused: number;
  readonly peers: readonly PeerComparison[];
}

/** What all of it comes to: a difference weighs more than what is not known. */
export function resultOf({ kernel, refused, peers }: Omit<VerifyView, "result">): VerifyView["result"] {
  const states = peers.flatMap(({ state, premises }) => [state, premises]);
  if (kernel.length > 0 || refused > 0 || states.includes("different")) return "different";
  return states.includes("unknown") ? "unknown" : "equal";
}

/** The exit status that says the same. */
export const EXIT_CODES = { equal: 0, different: 1, unknown: 2 } as const;

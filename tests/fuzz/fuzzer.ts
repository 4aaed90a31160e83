/**
 * The fuzzer: from a target's corpus it makes inputs, keeps those that reach code that none has reached before, and
 * notes the ones that a target answers with anything but a value or a typed error, soon.
 */

import { randomOf } from "../sim/world.ts";
import { type Dice, mutate, pick } from "./mutate.ts";
import { isTyped, type Target } from "./targets.ts";

/** An answer that takes longer is a defect; many times what a slow machine needs. */
const PATIENCE_MS = 2000;

/** Inputs between two looks at the coverage. */
const BATCH = 512;

/** Sees which code has run. */
export interface Coverage {
  /** Whether code has run since the last look that is not noted; `note`: notes it. */
  look(note: boolean): Promise<boolean>;
}

/** An input that a target does not bear. */
export interface Finding {
  readonly input: Uint8Array;
  readonly error: unknown;
}

export class Fuzzer {
  readonly corpus: Uint8Array[];
  readonly findings: Finding[] = [];
  runs = 0;
  readonly #dice: Dice;
  readonly #places = new Set<string>();

  constructor(readonly target: Target, seed: number) {
    this.#dice = randomOf(seed);
    this.corpus = [...target.seeds];
    for (const input of this.corpus) this.#run(input);
  }

  /** So many inputs, without a look at what they reach. */
  blind(count: number): void {
    for (let i = 0; i < count; i++) this.#run(this.#make());
  }

  /** A batch of inputs; those that reach something new join the corpus. */
  async guided(coverage: Coverage): Promise<void> {
    const batch = Array.from({ length: BATCH }, () => this.#make());
    if (!await this.#reaches(batch, coverage, false)) return;
    let inputs: readonly Uint8Array[] = batch;
    while (inputs.length > 1) {
      const half = inputs.slice(0, inputs.length / 2);
      inputs = await this.#reaches(half, coverage, false) ? half : inputs.slice(inputs.length / 2);
    }
    this.corpus.push(...inputs);
    await this.#reaches(batch, coverage, true);
  }

  async #reaches(inputs: readonly Uint8Array[], coverage: Coverage, note: boolean): Promise<boolean> {
    for (const input of inputs) this.#run(input);
    return await coverage.look(note);
  }

  #make(): Uint8Array {
    return mutate(pick(this.corpus, this.#dice), this.#dice, this.corpus);
  }

  #run(input: Uint8Array): void {
    this.runs++;
    if (this.#timed(input) <= PATIENCE_MS) return;
    const tookMs = this.#timed(input); // again: the host may have stalled
    if (tookMs > PATIENCE_MS) this.#note(input, new Error(`takes ${Math.round(tookMs)} ms`));
  }

  /** @returns the milliseconds that the answer took */
  #timed(input: Uint8Array): number {
    const startMs = performance.now();
    try {
      this.target.run(input.slice());
    } catch (error) {
      if (!isTyped(error)) this.#note(input, error);
    }
    return performance.now() - startMs;
  }

  /** One finding for each place. */
  #note(input: Uint8Array, error: unknown): void {
    const place = error instanceof Error ? `${error.name} ${error.stack?.split("\n    at ")[1]}` : `${error}`;
    if (this.#places.has(place)) return;
    this.#places.add(place);
    this.findings.push({ input, error });
  }
}

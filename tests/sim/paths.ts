/** The ways between gateways, each direction by itself: whole or held up, fast or slow. Both wires go by them. */

/** Milliseconds that anything is on its way at most, where nothing is slow. */
const USUAL_MS = 60;

export class Paths {
  readonly #held = new Set<string>();
  readonly #slow = new Map<string, number>();
  readonly #dead = new Set<string>();

  constructor(private readonly random: () => number) {}

  /** Whether nothing arrives this way now; what was sent arrives later. */
  holds(from: string, to: string): boolean {
    return this.#held.has(`${from}>${to}`) || this.#dead.has(from) || this.#dead.has(to);
  }

  delayMs(from: string, to: string): number {
    return this.random() * (this.#slow.get(`${from}>${to}`) ?? USUAL_MS);
  }

  cut(from: string, to: string): void {
    this.#held.add(`${from}>${to}`);
  }

  slow(from: string, to: string, ms: number): void {
    this.#slow.set(`${from}>${to}`, ms);
  }

  /** A machine without power answers nobody. */
  setDead(name: string, isDead: boolean): void {
    if (isDead) this.#dead.add(name);
    else this.#dead.delete(name);
  }

  /** All links are whole and fast. */
  heal(): void {
    this.#held.clear();
    this.#slow.clear();
  }
}

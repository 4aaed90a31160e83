/** What happens when in a soak test: a function of its length and its seed alone. */

const MINUTE_MS = 60_000;
/** A run of this many minutes has the true intervals; in a shorter one all of them are shorter. */
const FULL_MINUTES = 30;
const TAKEOVER_MS = 5 * MINUTE_MS;
const KILL_MS = 7 * MINUTE_MS;
/** From one cut link to the next one, on the average. */
const CUT_MS = 2 * MINUTE_MS;
/** A session is dropped after 3 s, a lease is stale soon after; the tail of a takeover has 10 s. */
const CUT_LENGTH_MS = { least: 500, most: 25_000 };

/** Every tunnel has new keys within this time; in a short run not much sooner, as the guest has its limits. */
const REKEY_ALL_MS = { full: 10 * MINUTE_MS, least: 6 * MINUTE_MS };

export interface Event {
  readonly kind: "takeover" | "kill" | "cut";
  /** Since the start. */
  readonly atMs: number;
  /** Of a cut. */
  readonly lengthMs: number;
}

export interface Schedule {
  readonly events: readonly Event[];
  readonly rekeyAllMs: number;
}

/** @param random numbers from 0 up to 1 */
export function makeSchedule(minutes: number, random: () => number): Schedule {
  const pace = Math.min(1, minutes / FULL_MINUTES);
  const endMs = (minutes - pace) * MINUTE_MS;
  const events: Event[] = [];
  for (let at = TAKEOVER_MS * pace; at < endMs; at += TAKEOVER_MS * pace) {
    events.push({ kind: "takeover", atMs: at, lengthMs: 0 });
  }
  for (let at = KILL_MS * pace; at < endMs; at += KILL_MS * pace) {
    events.push({ kind: "kill", atMs: at, lengthMs: 0 });
  }
  const gap = () => CUT_MS * pace * (0.25 + 1.5 * random());
  const length = () => {
    const { least, most } = CUT_LENGTH_MS;
    return least + (most * pace - least) * random() ** 2; // most of them are short
  };
  for (let at = gap(); at < endMs; at += gap()) events.push({ kind: "cut", atMs: at, lengthMs: length() });
  return {
    events: events.toSorted((a, b) => a.atMs - b.atMs),
    rekeyAllMs: Math.max(REKEY_ALL_MS.full * pace, REKEY_ALL_MS.least),
  };
}

/**
 * Keeps a message that anybody can provoke from filling the log: once per peer, not once per packet. How often it
 * came again is told later.
 */

/** How a RepeatLimit works. */
export interface RepeatLimitOptions {
  /** Puts out a message, for instance `(text) => log.notice(text)`. */
  readonly say: (text: string) => void;
  /** After a message its repetitions are only counted for this long. */
  readonly quietMs: number;
  /** Keys remembered at once; messages of further ones share a single place. Default 256. */
  readonly maxKeys?: number;
}

interface Entry {
  text: string;
  repeated: number;
  quietUntilMs: number;
}

/** The place that keys share when there are too many of them. */
const OTHERS = Symbol("others");

/** Says the first message of each key and counts the next ones. Call `flush` about as often as `quietMs`. */
export class RepeatLimit {
  readonly #entries = new Map<string | symbol, Entry>();
  readonly #maxKeys: number;

  constructor(private readonly options: RepeatLimitOptions) {
    this.#maxKeys = options.maxKeys ?? 256;
  }

  /** Says `text` unless its key is quiet. Use a key for each peer and kind of message. */
  once(key: string, text: string, nowMs: number): void {
    const place = this.#entries.has(key) || this.#entries.size < this.#maxKeys ? key : OTHERS;
    const entry = this.#entries.get(place);
    if (entry !== undefined && nowMs < entry.quietUntilMs) {
      entry.repeated++;
      entry.text = text;
      return;
    }
    if (entry !== undefined) this.#tellRepeated(entry);
    this.options.say(text);
    this.#entries.set(place, { text, repeated: 0, quietUntilMs: nowMs + this.options.quietMs });
  }

  /** Tells of the repetitions in the quiet times that are over, and forgets the keys that were quiet indeed. */
  flush(nowMs: number): void {
    for (const [key, entry] of this.#entries) {
      if (nowMs < entry.quietUntilMs) continue;
      if (entry.repeated === 0) {
        this.#entries.delete(key);
        continue;
      }
      this.#tellRepeated(entry);
      entry.quietUntilMs = nowMs + this.options.quietMs;
    }
  }

  #tellRepeated(entry: Entry): void {
    if (entry.repeated === 0) return;
    const times = entry.repeated === 1 ? "once" : `${entry.repeated} times`;
    this.options.say(`${entry.text} (and ${times} more)`);
    entry.repeated = 0;
  }
}

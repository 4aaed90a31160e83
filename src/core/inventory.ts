/** The inventory: what the own kernel holds, local records too, in the kernel's creation order. */

import type { RecordIdentity } from "../record/record.ts";
import { identityKey } from "../record/record.ts";
import { saTriple } from "../record/sa.ts";

/** Content of a record that may have gone or may have changed, because a change of it has failed. */
export const UNKNOWN_CONTENT = new Uint8Array();

/** One record in the own kernel. */
export interface Item {
  readonly key: string;
  readonly identity: RecordIdentity;
  /** Encoded content as the kernel has it (of a mirrored record: the slave's form of it). */
  readonly content: Uint8Array;
  readonly shared: boolean;
  /** Creation order in this kernel. */
  readonly seq: number;
}

/** The items by identity. */
export class Inventory {
  readonly #items = new Map<string, Item>();
  /** SAs that share destination, protocol and SPI: the kernel tells them apart by matching marks only. */
  readonly #siblings = new Map<string, Set<string>>();
  #seq = 0;

  get(key: string): Item | undefined {
    return this.#items.get(key);
  }

  /** Oldest first. */
  values(): IterableIterator<Item> {
    return this.#items.values();
  }

  /** Notes what the kernel holds now. `created`: as a new object, so it takes the newest place. */
  set(identity: RecordIdentity, content: Uint8Array, shared: boolean, created: boolean): void {
    const key = identityKey(identity);
    const before = this.#items.get(key);
    const seq = before === undefined || created ? ++this.#seq : before.seq;
    if (seq !== before?.seq) this.#items.delete(key);
    this.#items.set(key, { key, identity, content, shared, seq });
    if (identity.kind !== "sa") return;
    const triple = saTriple(identity.id);
    const siblings = this.#siblings.get(triple);
    if (siblings === undefined) this.#siblings.set(triple, new Set([key]));
    else siblings.add(key);
  }

  /** The kernel's creation order as a dump shows it; what the dump did not show is newer. */
  reorder(keys: ReadonlySet<string>): void {
    const newer = [...this.#items.values()].filter(({ key }) => !keys.has(key));
    const older = [...keys].map((key) => this.#items.get(key)).filter((item) => item !== undefined);
    for (const item of [...older, ...newer]) {
      this.#items.delete(item.key);
      this.#items.set(item.key, { ...item, seq: ++this.#seq });
    }
  }

  delete(key: string): Item | undefined {
    const item = this.#items.get(key);
    if (item === undefined) return undefined;
    this.#items.delete(key);
    if (item.identity.kind === "sa") {
      const triple = saTriple(item.identity.id);
      const siblings = this.#siblings.get(triple);
      siblings?.delete(key);
      if (siblings?.size === 0) this.#siblings.delete(triple);
    }
    return item;
  }

  /** The other SAs with the same destination, protocol and SPI, oldest first. */
  siblings(identity: RecordIdentity): Item[] {
    if (identity.kind !== "sa") return [];
    const keys = this.#siblings.get(saTriple(identity.id));
    if (keys === undefined) return [];
    const own = identityKey(identity);
    return [...keys].filter((key) => key !== own).map((key) => this.#items.get(key)!)
      .toSorted((a, b) => a.seq - b.seq);
  }
}

/** The inventory: what the own kernel holds, local records too, in the kernel's creation order. */

import type { RecordIdentity } from "../record/record.ts";
import { NO_MARK, saKey, saTriple } from "../record/sa.ts";

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
  /** SAs with marks by destination, protocol and SPI: a kernel tells those that share them apart by marks only. */
  readonly #marked = new Map<string, Set<string>>();
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
    const key = identity.key;
    const before = this.#items.get(key);
    const seq = before === undefined || created ? ++this.#seq : before.seq;
    if (seq !== before?.seq) this.#items.delete(key);
    this.#items.set(key, { key, identity, content, shared, seq });
    if (!isMarked(identity)) return;
    const triple = saTriple(identity.id);
    const siblings = this.#marked.get(triple);
    if (siblings === undefined) this.#marked.set(triple, new Set([key]));
    else siblings.add(key);
  }

  /** The kernel's creation order as a dump shows it; what the dump did not show is newer. */
  reorder(keys: ReadonlySet<string>): void {
    if (this.#isOrdered(keys)) return; // moving all takes tenths of a second
    const newer = [...this.#items.values()].filter(({ key }) => !keys.has(key));
    const older = [...keys].map((key) => this.#items.get(key)).filter((item) => item !== undefined);
    for (const item of [...older, ...newer]) {
      this.#items.delete(item.key);
      this.#items.set(item.key, { ...item, seq: ++this.#seq });
    }
  }

  #isOrdered(keys: ReadonlySet<string>): boolean {
    const held = this.#items.keys();
    return keys.values().every((key) => !this.#items.has(key) || held.next().value === key);
  }

  delete(key: string): Item | undefined {
    const item = this.#items.get(key);
    if (item === undefined) return undefined;
    this.#items.delete(key);
    if (isMarked(item.identity)) {
      const triple = saTriple(item.identity.id);
      const siblings = this.#marked.get(triple);
      siblings?.delete(key);
      if (siblings?.size === 0) this.#marked.delete(triple);
    }
    return item;
  }

  /** The other SAs with the same destination, protocol and SPI, oldest first. */
  siblings({ kind, id, key: own }: RecordIdentity): Item[] {
    if (kind !== "sa" || this.#marked.size === 0) return [];
    const unmarked = saKey({ ...id, mark: NO_MARK });
    return [unmarked, ...this.#marked.get(saTriple(id)) ?? []]
      .map((key) => this.#items.get(key))
      .filter((item) => item !== undefined && item.key !== own)
      .toSorted((a, b) => a!.seq - b!.seq) as Item[]; // undefined has been filtered out
  }

  /** Those among which the order counts, by name; undefined: there are none. */
  rivalsOf(identity: RecordIdentity): string | undefined {
    if (identity.kind === "policy") return "policies";
    return this.siblings(identity).length > 0 ? saTriple(identity.id) : undefined;
  }
}

function isMarked(identity: RecordIdentity): identity is RecordIdentity & { readonly kind: "sa" } {
  return identity.kind === "sa" && identity.id.mark.mask !== 0;
}

/** Plans the kernel changes that bring one identity from what the kernel holds to what it should hold. */

import { equalBytes } from "../record/address.ts";
import { encodeContent } from "../record/encoding.ts";
import type { KernelChange } from "../ports.ts";
import type { IpsecRecord, RecordIdentity } from "../record/record.ts";
import type { Inventory, Item } from "./inventory.ts";

/** One kernel change, and what the inventory has to say when it has succeeded. */
export interface Step {
  readonly key: string;
  readonly identity: RecordIdentity;
  readonly change: KernelChange;
  /** Content that the kernel then holds; undefined: nothing. */
  readonly content: Uint8Array | undefined;
  readonly shared: boolean;
}

/** A record as it should stand in the kernel, and its order among others. */
export interface Wanted {
  readonly identity: RecordIdentity;
  readonly record: IpsecRecord;
  readonly rank: number;
  /** The record's content, where it is known already. */
  readonly content?: Uint8Array | undefined;
}

/** The step that puts a record. */
export function putStep({ identity, record, content }: Omit<Wanted, "rank">, shared: boolean): Step {
  const change = { kind: "put", record } as const;
  return { key: identity.key, identity, change, content: content ?? encodeContent(record), shared };
}

/** The step that deletes what has this identity. */
function deleteStep({ key, identity, shared }: Pick<Item, "key" | "identity" | "shared">): Step {
  const change: KernelChange = identity.kind === "sa"
    ? { kind: "delete-sa", id: identity.id }
    : { kind: "delete-policy", id: identity.id };
  return { key, identity, change, content: undefined, shared };
}

/** Steps that put a wanted record: none when the kernel holds its like, more than one when siblings are moved. */
export function planPut(
  wanted: Wanted,
  inventory: Inventory,
  wantedSibling: (key: string) => Wanted | undefined,
  force: boolean,
): Step[] {
  const step = putStep(wanted, true);
  const actual = inventory.get(step.key);
  if (!force && actual !== undefined && actual.shared && equalBytes(actual.content, step.content!)) return [];
  const siblings = inventory.siblings(step.identity);
  const others = siblings.map(({ key }) => wantedSibling(key));
  if (others.some((other) => other === undefined)) return [step]; // not ours to move
  const mustMove = actual !== undefined || others.some((other) => other!.rank > wanted.rank);
  if (siblings.length === 0 || !mustMove) return [step];
  return regroup(actual === undefined ? siblings : [...siblings, actual], [...others, wanted] as Wanted[]);
}

/** Steps that delete an item, its siblings kept in their order. */
export function planDelete(
  item: Item,
  inventory: Inventory,
  wantedSibling: (key: string) => Wanted | undefined,
): Step[] {
  const siblings = inventory.siblings(item.identity);
  const others = siblings.map(({ key }) => wantedSibling(key));
  if (siblings.length === 0 || others.some((other) => other === undefined)) return [deleteStep(item)];
  return regroup([...siblings, item], others as Wanted[]);
}

/**
 * SAs that differ in their mark only are found by a mark that *matches*, newest first: so the newest are deleted
 * first and the oldest made first, as they were on the master.
 */
function regroup(there: readonly Item[], wanted: readonly Wanted[]): Step[] {
  return [
    ...there.toSorted((a, b) => b.seq - a.seq).map(deleteStep),
    ...wanted.toSorted((a, b) => a.rank - b.rank).map((one) => putStep(one, true)),
  ];
}

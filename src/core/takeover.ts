/** What becomes of mirror, inventory and queue when a slave becomes master. */

import { encodeContent } from "../record/encoding.ts";
import { type Item, UNKNOWN_CONTENT } from "./inventory.ts";
import { recordOf, recordOfContent } from "./mirror.ts";
import type { NodeParts } from "./parts.ts";
import { withLimitsOf } from "./sa_limits.ts";

/**
 * The own kernel is the truth from now on. What the old master had said and the kernel does not show yet: new
 * records and deletions are still done, updates are not (they would reset the counters of an SA in use).
 */
export function takeOver(parts: NodeParts, nowMs: number): void {
  const { follower, inventory, mirror, kernel, queue } = parts;
  follower.overtake(nowMs);
  for (const { key, content } of [...inventory.values()]) {
    // what stands in the place of one that was refused is not what the mirror has; the dump knows what it is
    const isUnsure = content === UNKNOWN_CONTENT || mirror.get(key)?.refused !== undefined;
    if (isUnsure) inventory.delete(key);
  }
  for (const { key, identity, remove } of queue.drain()) {
    const entry = mirror.get(key);
    const item = inventory.get(key);
    if (entry?.refused !== undefined) continue;
    if ((entry === undefined) !== (item === undefined)) queue.add(identity, { remove });
    else if (item?.shared === true) {
      follower.leases.standing(key, nowMs); // what was reported while it waited
      adopt(parts, item, nowMs);
    }
  }
  for (const { key, refused } of [...mirror.values()]) {
    const gone = inventory.get(key) === undefined && refused === undefined && !queue.has(key);
    if (gone) kernel.forget(key); // it expired here, and the answer of the old master is still out
  }
  for (const item of inventory.values()) {
    if (item.shared && mirror.get(item.key) === undefined && !queue.has(item.key)) {
      adopt(parts, item, nowMs);
    }
  }
  follower.retire();
  parts.inherited.begin();
  parts.renegotiation?.begin(nowMs);
  follower.limits.changeRole(true);
  kernel.beginDump();
}

/**
 * Takes into the mirror what the own kernel holds, but for a slave's limits; the dump that follows brings counters and
 * ages.
 */
function adopt({ mirror, master }: NodeParts, item: Item, nowMs: number): void {
  const { key, identity, content } = item;
  const entry = mirror.get(key);
  if (entry === undefined) master.learn(recordOfContent(identity.kind, content), content, true, nowMs);
  else mirror.set({ ...entry, content: encodeContent(withLimitsOf(content, recordOf(entry, nowMs))) });
}

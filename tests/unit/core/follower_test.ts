/** The slave's side: what its master says goes into the mirror, and from there into its kernel. */

import { assertEquals, assertThrows } from "@std/assert";
import { Effects } from "../../../src/core/effect.ts";
import { Follower, type ListEnd } from "../../../src/core/follower.ts";
import { GuardBook } from "../../../src/core/guard_book.ts";
import { Inventory } from "../../../src/core/inventory.ts";
import { Mirror } from "../../../src/core/mirror.ts";
import { NO_TAKEOVER } from "../../../src/core/held_back.ts";
import { isShared } from "../../../src/core/ownership.ts";
import { ApplyQueue } from "../../../src/core/queue.ts";
import { slaveRecord } from "../../../src/core/slave_record.ts";
import { PeerError } from "../../../src/errors.ts";
import type { Takeover } from "../../../src/ports.ts";
import { formatAddress } from "../../../src/record/address.ts";
import { encodeContent } from "../../../src/record/encoding.ts";
import { identityOf, type IpsecRecord, recordKey } from "../../../src/record/record.ts";
import type { Sa } from "../../../src/record/sa.ts";
import type { Change, Message } from "../../../src/wire/native/message.ts";
import {
  gone,
  LOCAL,
  localPolicy,
  mark,
  mirrorOf,
  nameOf,
  nameOfChange,
  OWNERSHIP,
  policy,
  put,
  sa,
  snapshotOf,
} from "./support.ts";

const MASTER = "gw1";

const exact = (_: Sa): Takeover => "exact";

/** A follower and a kernel that is only a list of what was done. */
const place = { index: 0, nodes: 2 };

class Slave {
  readonly mirror = new Mirror();
  readonly inventory = new Inventory();
  readonly queue = new ApplyQueue();
  readonly guard = new GuardBook([]);
  readonly effects = new Effects();
  readonly follower: Follower;
  readonly refuses = new Set<string>();
  nowMs = 1_000_000;
  #done: string[] = [];

  constructor({ sweep = true, holds = [] as readonly IpsecRecord[], takeover = exact } = {}) {
    const flushMode = sweep ? "startup" as const : "never" as const;
    const settings = {
      ownership: OWNERSHIP,
      flushMode,
      takeover,
      canAdvance: true,
      canLimit: true,
      strictReplay: false,
      place,
    };
    this.follower = new Follower(settings, this.mirror, this.inventory, this.queue, this.guard, this.effects);
    for (const record of holds) this.note(record);
  }

  /** The kernel holds this now, whoever put it. */
  note(record: IpsecRecord): void {
    this.inventory.set(identityOf(record), encodeContent(record), isShared(record, OWNERSHIP), true);
  }

  /** Somebody else puts or deletes in the kernel. */
  disturb(record: IpsecRecord): void {
    this.note(record);
    this.follower.kernelChanged(recordKey(record));
  }

  lose(record: IpsecRecord, expired = false): void {
    this.inventory.delete(recordKey(record));
    this.follower.kernelLost(identityOf(record), expired, this.nowMs);
  }

  take(...changes: readonly (Change | ListEnd)[]): void {
    for (const change of changes) this.follower.take(MASTER, change, this.nowMs);
  }

  /** Follows the master and takes a snapshot of these records; what that led to is forgotten. */
  synced(...records: readonly IpsecRecord[]): this {
    this.follower.follow(MASTER);
    this.take(...snapshotOf(mirrorOf(...records)));
    this.work();
    this.says();
    return this;
  }

  /** Does all that waits. @returns what was done to the kernel. */
  work(): string[] {
    do {
      for (let waiting = this.queue.shift(); waiting !== undefined; waiting = this.queue.shift()) {
        for (const step of this.follower.plan(waiting, this.nowMs)) {
          const name = nameOfChange(step.change);
          this.#done.push(name);
          if (this.refuses.has(name)) this.follower.failed(step, "ENOSYS");
          else this.follower.stepped(step);
        }
        this.queue.done(waiting.key);
      }
      this.follower.restoreOrder();
      this.follower.judgeHeldBack();
    } while (this.queue.size > 0);
    this.follower.report();
    return this.#done.splice(0);
  }

  /** What was said to the master since the last call. */
  says(): Message[] {
    return this.effects.take().flatMap((effect) => effect.kind === "send" ? [effect.message] : []);
  }

  /** Types of what was said, acknowledgements with their number. */
  saysShort(): string[] {
    return this.says().map((message) => message.type === "ack" ? `ack ${message.change}` : message.type);
  }

  holds(): string[] {
    return [...this.inventory.values()].map(({ identity }) => nameOf(identity));
  }
}

const asked: Message = { type: "want", identities: [] };
const marked = (n: number, reqid = 1) => sa(1, { mark: mark(n), reqid });
const localSa = sa(7, { dst: LOCAL });

// --- following ---

Deno.test("Follower.follow() asks the new master for everything", () => {
  const slave = new Slave();
  slave.follower.follow(MASTER);
  assertEquals([slave.says(), slave.follower.master, slave.follower.synced], [[asked], MASTER, false]);
});

Deno.test("Follower.follow() asks nobody when there is no master", () => {
  const slave = new Slave().synced(sa(1));
  slave.follower.follow(undefined);
  assertEquals([slave.says(), slave.follower.master, slave.follower.synced], [[], undefined, false]);
  assertEquals(slave.mirror.size, 1, "what it knows it keeps");
});

Deno.test("Follower.take() acknowledges and drops what comes from another peer", () => {
  const slave = new Slave();
  slave.follower.follow("gw2");
  slave.says();
  slave.take(...snapshotOf(mirrorOf(sa(1))));
  assertEquals([slave.mirror.size, slave.saysShort()], [0, ["ack 1", "ack 2", "ack 3"]]);
});

Deno.test("Follower.take() acknowledges and drops what comes before BEGIN", () => {
  const slave = new Slave().synced(sa(1));
  slave.follower.follow(MASTER); // another epoch of the same master
  slave.says();
  slave.take(put(sa(2), 7), gone(sa(1), 8), { type: "flush", change: 9, kind: "sa", selector: 0 });
  assertEquals([slave.mirror.size, slave.work(), slave.saysShort()], [1, [], ["ack 7", "ack 8", "ack 9"]]);
});

Deno.test("Follower.retire() takes nothing any more", () => {
  const slave = new Slave().synced(sa(1));
  slave.follower.retire();
  slave.take(put(sa(2), 7));
  slave.follower.report();
  assertEquals([slave.mirror.size, slave.saysShort(), slave.follower.synced], [1, ["ack 7"], false]);
});

// --- snapshots ---

Deno.test("Follower.take() flushes nothing before a snapshot and touches only what differs", () => {
  const alike = sa(1, { hard: { addSeconds: 100n } });
  const slave = new Slave({
    holds: [slaveRecord(alike), sa(2, { reqid: 9 }), sa(9), localSa, localPolicy("10.9.0.0/16")],
  });
  slave.follower.follow(MASTER);
  const [end, ...before] = snapshotOf(mirrorOf(alike, sa(2), policy("10.2.0.0/16"))).toReversed();
  slave.take(...before.toReversed());
  assertEquals(slave.work(), ["put sa 2", "put policy 10.2.0.0/16"]);
  assertEquals(slave.follower.synced, false);
  slave.take(end!);
  assertEquals(slave.work(), ["delete sa 9"]);
  assertEquals(slave.follower.synced, true);
  assertEquals(slave.holds(), ["sa 1", "sa 7", "policy 10.9.0.0/16", "sa 2", "policy 10.2.0.0/16"]);
});

Deno.test("Follower.take() removes at END what came from a master, and of others' only with `flushmode startup`", () => {
  for (const sweep of [true, false]) {
    const slave = new Slave({ sweep, holds: [sa(9), localSa] }).synced(sa(1), sa(2), policy("10.2.0.0/16"));
    assertEquals(slave.holds().includes("sa 9"), !sweep);
    slave.follower.follow(MASTER);
    slave.take(...snapshotOf(mirrorOf(sa(2)), 20));
    assertEquals(slave.work(), ["delete sa 1", "delete policy 10.2.0.0/16"]);
  }
});

Deno.test("Follower.take() keeps at END what changed while the snapshot came", () => {
  const slave = new Slave();
  slave.follower.follow(MASTER);
  const mirror = mirrorOf(sa(1), sa(2));
  const [begin, one, two] = snapshotOf(mirror);
  slave.take(begin!, one!, put(sa(3), 3), gone(sa(2), 4), put(sa(1, { reqid: 9 }), 5, 1));
  slave.take(two!, gone(sa(2), 7));
  const now = mirrorOf(sa(1, { reqid: 9 }), sa(3));
  slave.take({ type: "snapshot-end", change: 8, count: 2, digest: now.digest });
  slave.work();
  assertEquals([slave.holds(), slave.follower.synced], [["sa 1", "sa 3"], true]);
});

Deno.test("Follower.take() refuses an END without BEGIN and leaves all as it is", () => {
  const slave = new Slave().synced(sa(1));
  const end: Change = { type: "snapshot-end", change: 9, count: 0, digest: new Uint8Array(16) };
  assertThrows(() => slave.take(end), PeerError, "not begun");
  assertEquals([slave.work(), slave.mirror.size], [[], 1]);
});

Deno.test("Follower.tick() asks again for a snapshot that did not add up, once in ten seconds", () => {
  const slave = new Slave();
  slave.follower.follow(MASTER);
  slave.says();
  const wrong = (first: number) =>
    slave.take(
      ...snapshotOf(mirrorOf(sa(1)), first).map((change) =>
        change.type === "snapshot-end" ? { ...change, count: 2 } : change
      ),
    );
  const tick = (ms: number) => {
    slave.nowMs += ms;
    slave.follower.tick(slave.nowMs);
    return slave.says();
  };
  wrong(1);
  assertEquals([slave.says(), slave.follower.synced], [[asked], false]);
  assertEquals(tick(10_000), [], "the answer is still to come");
  wrong(10);
  assertEquals(slave.says(), [asked]);
  wrong(20);
  assertEquals([slave.says(), tick(9999), tick(1), tick(20_000)], [[], [], [asked], []]);
});

Deno.test("Follower.take() compares again when a snapshot came between a question and its answer", () => {
  const slave = new Slave().synced(sa(1));
  slave.follower.follow(MASTER, { nodeId: "m", compares: true });
  slave.take(...snapshotOf(mirrorOf(sa(1)), 10));
  const { digest } = mirrorOf(sa(1), sa(2));
  const answer = (change: number) =>
    slave.take(
      { type: "catch-up", change, epoch: 1 },
      { type: "snapshot-end", change: change + 1, count: 2, digest },
    );
  const asks = () =>
    slave.says().map((message) => message.type === "digests" ? message.purpose : message.type);
  assertEquals(asks(), ["join"]);
  answer(20);
  assertEquals(asks(), ["join-again"]);
  answer(30);
  assertEquals(asks(), ["want"]);
});

// --- changes ---

Deno.test("Follower.take() installs a record in the slave's form", () => {
  const slave = new Slave().synced();
  const record = sa(1, { soft: { bytes: 5n }, hard: { addSeconds: 100n } });
  slave.take(put(record, 9));
  assertEquals(slave.work(), ["put sa 1"]);
  assertEquals(slave.inventory.get(recordKey(record))!.content, encodeContent(slaveRecord(record)));
  assertEquals(
    slave.mirror.get(recordKey(record))!.content,
    encodeContent(record),
    "the mirror has the master's",
  );
});

Deno.test("Follower.take() makes anew what the master made anew", () => {
  const slave = new Slave().synced(sa(1), sa(2));
  slave.take(put(sa(1), 9, 1));
  assertEquals(slave.work(), [], "the answer to a question");
  slave.take(put(sa(1), 10, 3));
  assertEquals(slave.work(), ["put sa 1"]);
});

Deno.test("Follower.take() makes anew what was deleted and came back before either was done", () => {
  const slave = new Slave().synced(sa(1), policy("10.2.0.0/16"));
  slave.take(gone(sa(1), 9), put(sa(1), 10), gone(policy("10.2.0.0/16"), 11), put(policy("10.2.0.0/16"), 12));
  assertEquals(slave.work(), ["put sa 1", "put policy 10.2.0.0/16"]);
});

Deno.test("Follower.take() guards an endpoint before its SA is applied, and until it has gone", () => {
  const slave = new Slave().synced();
  slave.take(put(policy("10.2.0.0/16"), 9));
  assertEquals(slave.guard.addresses().map(formatAddress), ["192.0.2.1"]);
  slave.take(gone(policy("10.2.0.0/16"), 10));
  assertEquals(slave.guard.addresses(), [], "it was never applied");
});

Deno.test("Follower.take() executes a FLUSH as the deletion of the shared records that it covers", () => {
  const slave = new Slave({ sweep: false, holds: [localSa, sa(9)] }).synced(
    sa(1),
    policy("10.2.0.0/16"),
    sa(2),
  );
  slave.take({ type: "flush", change: 9, kind: "sa", selector: 50 });
  assertEquals(slave.work(), ["delete sa 1", "delete sa 2"], "sa 9 never was the master's");
  slave.take({ type: "flush", change: 10, kind: "policy", selector: 1 });
  assertEquals(slave.work(), []);
});

Deno.test("Follower.take() deletes nothing that is local", () => {
  const slave = new Slave({ holds: [localSa, localPolicy("10.2.0.0/16")] }).synced();
  slave.take(gone(localSa, 9), gone(policy("10.2.0.0/16"), 10));
  assertEquals(slave.work(), []);
});

Deno.test("Follower.take() keeps the order of SAs that differ in their mark only", () => {
  const slave = new Slave().synced(marked(1), marked(2));
  slave.take(gone(marked(1), 9));
  assertEquals(slave.work(), ["delete sa 1 mark 2/ff", "delete sa 1 mark 1/ff", "put sa 1 mark 2/ff"]);
  slave.take(put(marked(1), 10, 3));
  assertEquals(slave.work(), ["put sa 1 mark 1/ff"]);
});

const faults: [what: string, change: Change, error: string][] = [
  ["malformed content", { ...put(sa(2), 9), content: Uint8Array.of(1, 2, 3) } as Change, "DecodeError"],
  ["malformed counters", { ...put(sa(2), 9), volatile: Uint8Array.of(1) } as Change, "DecodeError"],
  ["a malformed identity", { ...gone(sa(1), 9), identity: Uint8Array.of(1) } as Change, "DecodeError"],
  ["a rank that leaves no room", put(sa(2), 9, 2 ** 53 - 1), "PeerError"],
];

for (const [what, change, error] of faults) {
  Deno.test(`Follower.take() refuses ${what}, and the next snapshot brings the rest`, () => {
    const slave = new Slave().synced(sa(1));
    const before = slave.mirror.digest;
    assertEquals(assertThrows(() => slave.take(change), Error).name, error);
    slave.follower.report();
    assertEquals(slave.mirror.digest, before);
    slave.follower.follow(undefined); // the session ends
    slave.synced(sa(1), sa(2));
    assertEquals([slave.holds(), slave.follower.synced], [["sa 1", "sa 2"], true]);
  });
}

Deno.test("Follower.plan() lives with limits and ages at the end of their range", () => {
  const limits = { addSeconds: 2n ** 64n - 1n, useSeconds: 2n ** 64n - 1n };
  const record = sa(1, { hard: limits, counters: { ...sa(1).sa.counters, ageSeconds: 0xffffffff } });
  const slave = new Slave().synced();
  slave.take(put(record, 9));
  slave.nowMs += 3_600_000;
  assertEquals(slave.work(), ["put sa 1"]);
});

// --- acknowledgements ---

Deno.test("Follower.report() tells many refusals in parts, and acknowledges when all are told", () => {
  const slave = new Slave().synced();
  const strange = Array.from({ length: 100 }, (_, i) => sa(i + 1, { flags: 0x80000000 }));
  slave.take(...strange.map((record, i) => put(record, 10 + i)));
  slave.follower.report();
  assertEquals(slave.saysShort(), Array(64).fill("refused"));
  slave.take(put(sa(99), 110), gone(sa(100), 111)); // neither is refused any more
  assertEquals([slave.work(), slave.follower.hasUntold], [["put sa 99"], false]);
  assertEquals(slave.saysShort(), [...Array(34).fill("refused"), "ack 111"]);
});

Deno.test("Follower.report() waits until the kernel has taken the record", () => {
  const slave = new Slave().synced();
  slave.take(put(sa(1), 9), put(sa(2), 10));
  slave.follower.report();
  assertEquals(slave.saysShort(), ["ack 8"], "of what came before");
  const waiting = slave.queue.shift()!;
  for (const step of slave.follower.plan(waiting, 0)) slave.follower.stepped(step);
  slave.follower.report();
  assertEquals(slave.saysShort(), []);
  slave.queue.done(waiting.key);
  slave.follower.report();
  assertEquals(slave.saysShort(), ["ack 9"]);
  slave.work();
  slave.follower.report();
  assertEquals(slave.saysShort(), ["ack 10"], "once");
});

Deno.test("Follower.report() waits for what END removes", () => {
  const slave = new Slave({ holds: [sa(9)] });
  slave.follower.follow(MASTER);
  slave.says();
  slave.take(...snapshotOf(new Mirror()));
  slave.follower.report();
  assertEquals(slave.saysShort(), ["ack 1"]);
  slave.work();
  assertEquals(slave.saysShort(), ["ack 2"]);
});

Deno.test("Follower.report() owes a new master nothing for the old one's changes", () => {
  const slave = new Slave().synced();
  slave.take(put(sa(1), 100));
  slave.follower.follow(MASTER);
  slave.says();
  slave.work();
  assertEquals(slave.says(), []);
});

// --- refusals ---

Deno.test("Follower.failed() keeps the record in the mirror, marked, and tells the master", () => {
  const slave = new Slave().synced();
  slave.refuses.add("put sa 1");
  slave.take(put(sa(1), 9), put(sa(2), 10));
  assertEquals(slave.work(), ["put sa 1", "put sa 2"]);
  assertEquals([slave.mirror.get(recordKey(sa(1)))!.refused, slave.holds()], ["ENOSYS", ["sa 2"]]);
  const [refused, ack] = slave.says();
  assertEquals([refused!.type, ack], ["refused", { type: "ack", change: 10 }]);
  assertEquals((refused as Message & { type: "refused" }).reason, "ENOSYS");
});

Deno.test("Follower.failed() leaves nothing stale of the record in the kernel", () => {
  const slave = new Slave().synced(sa(1), policy("10.2.0.0/16"));
  slave.refuses.add("put sa 1").add("put policy 10.2.0.0/16");
  slave.take(put(sa(1, { reqid: 9 }), 9, 1), put(policy("10.2.0.0/16", { priority: 9 }), 10, 2));
  assertEquals(slave.work(), [
    "put sa 1",
    "put policy 10.2.0.0/16",
    "delete sa 1",
    "delete policy 10.2.0.0/16",
  ]);
  assertEquals(slave.holds(), []);
  assertEquals(slave.saysShort().at(-1), "ack 10");
});

Deno.test("Follower.failed() puts again what comes as it was before the failure: it may have gone", () => {
  const slave = new Slave().synced(sa(1));
  slave.take(put(sa(1, { reqid: 9 }), 9, 1));
  const waiting = slave.queue.shift()!;
  for (const step of slave.follower.plan(waiting, 0)) slave.follower.failed(step, "ENOSYS");
  slave.take(put(sa(1), 10, 1));
  assertEquals(slave.work(), ["put sa 1"]);
});

Deno.test("Follower.failed() is over when the record changes", () => {
  const slave = new Slave().synced();
  slave.refuses.add("put sa 1");
  slave.take(put(sa(1), 9));
  slave.work();
  slave.refuses.clear();
  slave.take(put(sa(1, { reqid: 9 }), 10, 9));
  assertEquals([slave.work(), slave.mirror.get(recordKey(sa(1)))!.refused], [["put sa 1"], undefined]);
});

Deno.test("Follower.take() refuses what is local by this node's settings, and what it stands for goes", () => {
  const slave = new Slave().synced(sa(1), policy("10.2.0.0/16"));
  slave.take(put(sa(1, { src: LOCAL }), 9), put(localPolicy("10.2.0.0/16"), 10));
  slave.follower.report();
  assertEquals(slave.saysShort(), ["refused", "refused", "ack 8"]);
  assertEquals([slave.work(), slave.mirror.size], [["delete sa 1", "delete policy 10.2.0.0/16"], 2]);
});

Deno.test("Follower.take() refuses a record with unknown critical attributes by name", () => {
  const slave = new Slave().synced();
  slave.take(put(sa(1, { flags: 0x8000_0000 }), 9));
  slave.follower.report();
  const [refused] = slave.says() as (Message & { type: "refused" })[];
  assertEquals([refused!.reason, slave.work()], ["unknown critical SA flags 0x80000000", []]);
});

Deno.test("Follower.plan() refuses an SA that a local one has the identity of", () => {
  const own = sa(1, { src: LOCAL });
  const slave = new Slave({ holds: [own] }).synced(sa(1));
  assertEquals(slave.holds(), ["sa 1"]);
  assertEquals(slave.inventory.get(recordKey(own))!.shared, false, "untouched");
  assertEquals(slave.mirror.get(recordKey(own))!.refused, "a local SA has this identity");
  slave.take(gone(sa(1), 9));
  assertEquals(slave.work(), []);
});

// --- disturbances ---

Deno.test("Follower.kernelLost() repairs a deletion", () => {
  const slave = new Slave().synced(sa(1));
  slave.lose(sa(1));
  assertEquals([slave.work(), slave.says()], [["put sa 1"], []]);
});

Deno.test("Follower.kernelLost() repairs a record once in a second, however often it goes", () => {
  const slave = new Slave().synced(sa(1), sa(2));
  slave.follower.tick(slave.nowMs);
  const undo = (record: IpsecRecord) => {
    slave.lose(record);
    return slave.work();
  };
  assertEquals([1, 2, 3].map(() => undo(sa(1))), [["put sa 1"], [], []]);
  assertEquals(undo(sa(2)), ["put sa 2"], "the other one is no part of it");
  slave.follower.tick(slave.nowMs += 999);
  assertEquals(slave.work(), []);
  slave.follower.tick(slave.nowMs += 1);
  assertEquals(slave.work(), ["put sa 1"]);
  assertEquals(undo(sa(1)), []);
  slave.take(gone(sa(1), 9));
  slave.follower.tick(slave.nowMs += 1000);
  assertEquals(slave.work(), [], "the master has it no more");
});

Deno.test("Follower.overtake() puts back what had to wait", () => {
  const slave = new Slave().synced(sa(1));
  slave.follower.tick(slave.nowMs);
  for (let i = 0; i < 2; i++) {
    slave.lose(sa(1));
    slave.work();
  }
  slave.follower.overtake(slave.nowMs);
  assertEquals(slave.work(), ["put sa 1"]);
});

Deno.test("Follower.kernelLost() does nothing for what is not in the mirror", () => {
  const slave = new Slave({ sweep: false, holds: [sa(9)] }).synced();
  slave.lose(sa(9));
  slave.lose(sa(8), true);
  assertEquals([slave.work(), slave.says()], [[], []]);
});

Deno.test("Follower.kernelLost() asks about an expiry, once in ten seconds, and repairs nothing", () => {
  const slave = new Slave().synced(sa(1), sa(2));
  const expire = (spi: number, ms: number) => {
    slave.nowMs += ms;
    slave.lose(sa(spi), true);
    return slave.says().map((message) => message.type === "want" ? message.identities.length : message.type);
  };
  assertEquals([expire(1, 0), expire(1, 9999), expire(2, 0)], [[1], [], [1]]);
  assertEquals(expire(1, 1), [1], "ten seconds have gone by");
  assertEquals(slave.work(), []);
  slave.take(put(sa(1), 9, 1), gone(sa(2), 10));
  assertEquals([slave.work(), slave.mirror.size], [["put sa 1"], 1]);
});

Deno.test("Follower.kernelLost() asks nobody when there is no master", () => {
  const slave = new Slave().synced(sa(1));
  slave.follower.follow(undefined);
  slave.lose(sa(1), true);
  assertEquals([slave.says(), slave.work()], [[], []]);
});

Deno.test("Follower.kernelChanged() repairs what somebody changed, and leaves alone what is not in the mirror", () => {
  const slave = new Slave({ sweep: false }).synced(sa(1));
  slave.disturb(sa(1, { reqid: 9 }));
  slave.disturb(sa(9));
  assertEquals(slave.work(), ["put sa 1"]);
});

// --- order of policies ---

const wide = policy("10.2.0.0/16");
const narrow = policy("10.2.3.0/24");
const other = policy("10.9.0.0/16");

Deno.test("Follower.restoreOrder() brings overlapping policies into the master's order after a snapshot", () => {
  const slave = new Slave({ holds: [narrow, other, wide] });
  slave.follower.follow(MASTER);
  slave.take(...snapshotOf(mirrorOf(other, wide, narrow)));
  assertEquals(slave.work(), ["put policy 10.2.3.0/24"]);
});

Deno.test("Follower.restoreOrder() waits until nothing else waits", () => {
  const slave = new Slave({ holds: [narrow, wide] });
  slave.follower.follow(MASTER);
  slave.take(...snapshotOf(mirrorOf(wide, narrow)));
  slave.follower.restoreOrder();
  assertEquals(slave.queue.drain().map(({ force }) => force), [false, false]);
  slave.follower.restoreOrder();
  assertEquals(slave.queue.drain().map(({ force }) => force), [true]);
});

Deno.test("Follower.restoreOrder() leaves alone what stands in the master's order, or does not compete", () => {
  const cheap = policy("10.2.3.0/24", { priority: 1 });
  for (const holds of [[other, wide, narrow], [wide, narrow, other], [cheap, wide]]) {
    const slave = new Slave({ holds });
    slave.follower.follow(MASTER);
    slave.take(...snapshotOf(mirrorOf(...holds.includes(cheap) ? [wide, cheap] : [other, wide, narrow])));
    assertEquals(slave.work(), []);
  }
});

Deno.test("Follower.restoreOrder() puts in order what a repair has made the newest", () => {
  const slave = new Slave().synced(wide, narrow);
  slave.lose(wide);
  assertEquals(slave.work(), ["put policy 10.2.0.0/16", "put policy 10.2.3.0/24"]);
});

Deno.test("Follower.restoreOrder() puts in order what an update has made the newest, where it competes", () => {
  const slave = new Slave().synced(wide, other, narrow);
  slave.take(put(policy("10.9.0.0/16", { flags: 1 }), 9, 2));
  assertEquals(slave.work(), ["put policy 10.9.0.0/16"]);
  slave.take(put(policy("10.2.0.0/16", { flags: 1 }), 10, 1));
  assertEquals(slave.work(), ["put policy 10.2.0.0/16", "put policy 10.2.3.0/24"]);
  const cheap = new Slave().synced(wide, policy("10.2.3.0/24", { priority: 1 }));
  cheap.take(put(policy("10.2.0.0/16", { flags: 1 }), 9, 1));
  assertEquals(cheap.work(), ["put policy 10.2.0.0/16"]);
});

Deno.test("Follower.restoreOrder() looks at all when many were put again", () => {
  const nets = Array.from({ length: 60 }, (_, i) => policy(`10.${100 + i}.0.0/16`));
  const slave = new Slave().synced(wide, ...nets, narrow);
  nets.forEach((net, i) => slave.take(put({ ...net, policy: { ...net.policy, flags: 1 } }, 100 + i, 2 + i)));
  slave.take(put(policy("10.2.0.0/16", { flags: 1 }), 200, 1));
  assertEquals(slave.work().slice(-2), ["put policy 10.2.0.0/16", "put policy 10.2.3.0/24"]);
});

Deno.test("Follower.restoreOrder() puts in order what somebody put again as it was", () => {
  const slave = new Slave().synced(wide, narrow);
  slave.disturb(wide);
  assertEquals(slave.work(), ["put policy 10.2.3.0/24"]);
});

Deno.test("Follower.restoreOrder() finds what a dump showed, once it is told to doubt", () => {
  const slave = new Slave().synced(wide, narrow);
  slave.inventory.reorder(new Set([recordKey(narrow), recordKey(wide)]));
  assertEquals(slave.work(), []);
  slave.follower.doubtOrder();
  assertEquals(slave.work(), ["put policy 10.2.3.0/24"]);
});

Deno.test("Follower.restoreOrder() follows a policy that the master put again", () => {
  const slave = new Slave().synced(wide, narrow);
  slave.take(put(wide, 9, 3));
  assertEquals(slave.work(), ["put policy 10.2.0.0/16"], "which makes it the newest here too");
});

// --- local policies ---

const trap = localPolicy("10.2.0.0/16");

/** A slave whose own IKE daemon's trap a shared policy has replaced. */
function displaced(): Slave {
  return new Slave({ holds: [trap] }).synced(wide);
}

/** Whether the kernel holds the trap as it was. */
function hasTrap(slave: Slave): boolean {
  return slave.inventory.get(recordKey(trap))?.content.toHex() === encodeContent(trap).toHex();
}

Deno.test("Follower.plan() puts a local policy back when the shared one that replaced it goes", () => {
  const slave = displaced();
  assertEquals([slave.inventory.get(recordKey(trap))!.shared, hasTrap(slave)], [true, false]);
  slave.take(gone(wide, 9));
  assertEquals([slave.work(), hasTrap(slave)], [["put policy 10.2.0.0/16"], true]);
  assertEquals(slave.inventory.get(recordKey(trap))!.shared, false);
  slave.follower.follow(MASTER);
  slave.take(...snapshotOf(new Mirror(), 20));
  assertEquals([slave.work(), hasTrap(slave)], [[], true], "and it is local again");
});

Deno.test("Follower.plan() puts a local policy back after a FLUSH and at END", () => {
  const flush: Change = { type: "flush", change: 9, kind: "policy", selector: 255 };
  for (const changes of [[flush], snapshotOf(new Mirror(), 9)]) {
    const slave = displaced();
    slave.take(...changes);
    slave.work();
    assertEquals(hasTrap(slave), true);
  }
});

Deno.test("Follower.plan() puts a local policy back after a time as master", () => {
  const slave = displaced();
  slave.follower.retire();
  slave.synced();
  assertEquals(hasTrap(slave), true);
});

Deno.test("Follower.undisplace() forgets a local policy that its own daemon has deleted", () => {
  const slave = displaced();
  slave.follower.undisplace(recordKey(trap));
  slave.take(gone(wide, 9));
  assertEquals([slave.work(), slave.holds()], [["delete policy 10.2.0.0/16"], []]);
});

Deno.test("Follower.plan() puts the shared policy again over a local one that came later, and keeps that", () => {
  const slave = new Slave().synced(wide);
  slave.disturb(trap);
  assertEquals([slave.work(), hasTrap(slave)], [["put policy 10.2.0.0/16"], false]);
  slave.take(gone(wide, 9));
  slave.work();
  assertEquals(hasTrap(slave), true);
});

Deno.test("Follower.plan() leaves a local policy in its place that a refused one did not replace", () => {
  const slave = new Slave({ holds: [trap] });
  slave.refuses.add("put policy 10.2.0.0/16");
  slave.synced(wide);
  assertEquals(hasTrap(slave), true);
  slave.refuses.clear();
  slave.take(gone(wide, 9));
  assertEquals([slave.work(), hasTrap(slave)], [[], true]);
});

// --- SAs that a takeover could not go on with ---

const none = () => "none" as const;
const outbound = sa(1);
const inbound = sa(2, { src: outbound.sa.dst, dst: outbound.sa.src });

Deno.test("Follower holds back an outbound SA that its kernel could not take over, and says so once", () => {
  const slave = new Slave({ takeover: none }).synced(policy("10.2.0.0/16"));
  slave.take(put(outbound, 10), put(inbound, 11));
  assertEquals(slave.work(), ["put sa 2"]);
  assertEquals([slave.mirror.size, slave.mirror.get(recordKey(outbound))?.refused], [3, NO_TAKEOVER]);
  assertEquals(slave.saysShort(), ["refused", "ack 11"]);
  slave.take(put(sa(1, { reqid: 2 }), 12));
  assertEquals([slave.work(), slave.saysShort()], [[], ["ack 12"]]);
});

Deno.test("Follower learns from a policy that comes later which SAs are outbound", () => {
  const slave = new Slave({ takeover: none });
  slave.follower.follow(MASTER);
  slave.says();
  slave.take(...snapshotOf(mirrorOf(outbound, inbound)));
  assertEquals([slave.work(), slave.saysShort()], [[], ["refused", "refused", "ack 4"]]);
  slave.take(put(policy("10.2.0.0/16"), 5));
  assertEquals(slave.work(), ["put policy 10.2.0.0/16", "put sa 2"]);
});

Deno.test("Follower judges what it holds back when the snapshot is complete", () => {
  const slave = new Slave({ takeover: none }).synced(inbound, outbound, policy("10.2.0.0/16"));
  assertEquals(slave.holds(), ["policy 10.2.0.0/16", "sa 2"]);
});

Deno.test("Follower takes what it holds back out of its kernel", () => {
  const slave = new Slave({ takeover: none, holds: [outbound] }).synced(outbound, policy("10.2.0.0/16"));
  assertEquals(slave.holds(), ["policy 10.2.0.0/16"]);
});

Deno.test("Follower forgets what it holds back when it goes, and tells a new master of the rest", () => {
  const slave = new Slave({ takeover: none }).synced(outbound, sa(3), policy("10.2.0.0/16"));
  slave.take(gone(outbound, 10), put(policy("10.3.0.0/16"), 11));
  slave.work();
  assertEquals(slave.saysShort(), ["ack 11"]);
  slave.follower.follow(MASTER);
  slave.says();
  slave.take(...snapshotOf(mirrorOf(sa(3), policy("10.2.0.0/16"), policy("10.3.0.0/16")), 12));
  slave.work();
  assertEquals(slave.saysShort(), ["refused", "ack 16"]);
});

Deno.test("Follower does not put what it held back and then refuses for another reason", () => {
  const slave = new Slave({ takeover: none });
  slave.follower.follow(MASTER);
  slave.take(...snapshotOf(mirrorOf(inbound)));
  slave.follower.refuse(recordKey(inbound), "ENOSYS");
  slave.take(put(policy("10.2.0.0/16"), 4));
  assertEquals([slave.work(), slave.mirror.get(recordKey(inbound))?.refused], [
    ["put policy 10.2.0.0/16"],
    "ENOSYS",
  ]);
});

Deno.test("Follower.retire() leaves what it held back to the master's side", () => {
  const slave = new Slave({ takeover: none }).synced(policy("10.2.0.0/16"));
  slave.take(put(outbound, 10)); // not judged yet
  slave.follower.retire();
  slave.mirror.delete(recordKey(outbound));
  slave.follower.judgeHeldBack();
  assertEquals(slave.saysShort(), []);
});

for (const takeover of ["exact", "pfsync", "restart"] as const) {
  Deno.test(`Follower holds nothing back when a takeover is ${takeover}`, () => {
    const slave = new Slave({ takeover: () => takeover }).synced(outbound, inbound, policy("10.2.0.0/16"));
    assertEquals(slave.holds(), ["sa 1", "sa 2", "policy 10.2.0.0/16"]);
  });
}

// --- a master without counts and digests ---

const begin: Change = { type: "snapshot-begin", change: 1, epoch: 0 };
const endOf = (whole: boolean): ListEnd => ({ type: "list-end", change: 9, whole });

for (const sweep of [true, false]) {
  Deno.test(`Follower.take() removes what a whole list did not name, with flushmode ${sweep ? "startup" : "never"}`, () => {
    const slave = new Slave({ sweep, holds: [sa(3), localSa] }).synced(sa(1), sa(2));
    slave.follower.follow(MASTER);
    slave.take(begin, put(sa(2), 2), endOf(true));
    assertEquals(slave.work().toSorted(), sweep ? ["delete sa 1"] : ["delete sa 1", "delete sa 3"]);
    assertEquals(slave.holds().toSorted(), ["sa 2", "sa 7"]);
    assertEquals([slave.mirror.size, slave.follower.synced], [1, true]);
  });
}

Deno.test("Follower.take() removes nothing at the end of a list that is not whole", () => {
  const slave = new Slave({ holds: [sa(3)] });
  slave.follower.follow(MASTER);
  slave.take(begin, put(sa(1), 2), endOf(false));
  assertEquals(slave.work(), ["put sa 1"]);
  assertEquals(slave.holds(), ["sa 3", "sa 1"]);
  assertEquals(slave.follower.synced, true);
  slave.take(gone(sa(1), 10));
  assertEquals(slave.work(), ["delete sa 1"], "then come changes");
});

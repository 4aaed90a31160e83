/** Deliberate faults, each to be found by the simulation: texts of the product, and what is put in their place. */

export interface Edit {
  /** From the root of the repository. */
  readonly file: string;
  /** Is there exactly once. */
  readonly find: string;
  readonly replace: string;
}

export interface Mutation {
  readonly name: string;
  readonly edits: readonly Edit[];
}

/** A fault of one edit. */
function fault(name: string, file: string, find: string, replace: string): Mutation {
  return { name, edits: [{ file, find, replace }] };
}

export const MUTATIONS: readonly Mutation[] = [
  fault(
    "a lease has no margin",
    "src/core/lease.ts",
    "return block - oseq <= mostAbove(oseq, flags) ? block : start;",
    "return oseq;",
  ),
  fault(
    "a master of the past is followed",
    "src/core/membership.ts",
    "if (epochless || state.epoch < this.epoch) continue;",
    "if (epochless) continue;",
  ),
  fault(
    "a master takes what it knows already",
    "src/core/peer_talk.ts",
    "isKnown || master.isGone(key) ||",
    "master.isGone(key) ||",
  ),
  fault(
    "deletions are not told",
    "src/core/master.ts",
    "if (entry !== undefined) this.touch(entry.identity);",
    "",
  ),
  fault(
    "the window of unacknowledged bytes has no end",
    "src/core/outbox.ts",
    "WINDOW_BYTES - this.#flightBytes",
    "Infinity",
  ),
  fault(
    "an outbox holds messages, not identities",
    "src/core/outbox.ts",
    "if (!this.#pending.has(identity.key)) this.#pending.set(identity.key, identity);",
    "this.#pending.set(`${identity.key} ${Math.random()}`, identity);",
  ),
  fault(
    "a master is demoted as a slave is",
    "src/core/demotion.ts",
    'if (situation.role === "MASTER") return this.#lift("master");',
    "",
  ),
  fault(
    "the guard does not see what a master has told",
    "src/core/follower.ts",
    "      this.guard.set(entry.key, record);\n",
    "",
  ),
  fault(
    "a key is logged",
    "src/core/follower.ts",
    "`refused ${describe(identity)}: ${reason}`, `refused",
    "`refused ${describe(identity)}: ${this.mirror.get(identity.key)?.content.toHex()}`, `refused",
  ),
  {
    name: "frames are not encrypted",
    edits: [
      {
        file: "src/wire/native/session.ts",
        find: "this.#cipher.encrypt(payload)",
        replace: "concat(payload, new Uint8Array(TAG_BYTES))",
      },
      {
        file: "src/wire/native/session.ts",
        find: "this.#cipher.decrypt(frame)",
        replace: "frame.subarray(0, frame.length - TAG_BYTES)",
      },
    ],
  },
  fault(
    "a local record passes for shared",
    "src/core/own_kernel.ts",
    "const shared = isShared(record, this.parts.settings.ownership);",
    "const shared = isShared(record, this.parts.settings.ownership) || true;",
  ),
  fault(
    "a dump wins over the events since its beginning",
    "src/core/dump_comparison.ts",
    "if (touched.has(identity.key)) continue;",
    "",
  ),
  fault(
    "a slave does not repair what somebody deletes",
    "src/core/follower.ts",
    "else if (entry.refused !== undefined || this.#putBacks.mayNow(identity)) this.queue.add(identity);",
    "",
  ),
  fault(
    "an exception without a type",
    "src/core/follower.ts",
    "this.mirror.get(step.key)?.rank",
    "this.mirror.get(step.key)!.rank",
  ),
  fault(
    "deletions during a handover are told",
    "src/core/own_kernel.ts",
    "if (this.#withheld !== undefined && !expired) this.#withheld.add(key);",
    "if (false) return;",
  ),
  fault(
    "the guard is lifted before the counters have moved on",
    "src/core/kernel_steps.ts",
    'role === "MASTER" && !this.advancing;',
    'role === "MASTER";',
  ),
  fault(
    "what a snapshot does not name stays",
    "src/core/follower.ts",
    "if (entry !== undefined) this.#remove(entry.identity, change);",
    "",
  ),
  fault(
    "what stood with a master's limits keeps them",
    "src/core/follower.ts",
    "    this.#wasMaster = true;\n",
    "",
  ),
];

/** Brings a kernel's SADB and SPD to what is asked for over PF_KEY: changes → requests → results. */

import { DecodeError } from "../errors.ts";
import type { Dialect, Request, Surroundings } from "../pfkey/dialect.ts";
import type { PfkeyMessage } from "../pfkey/message.ts";
import type { KernelChange, KernelResult } from "../ports.ts";
import type { SaIdentity } from "../record/sa.ts";
import { HiddenPolicies } from "./hidden_policies.ts";
import type { PfkeyAnswer, PfkeyChannel } from "./pfkey_channel.ts";
import type { PfkeyMemory } from "./pfkey_memory.ts";

const DONE: KernelResult = { ok: true };

/** A request that failed, and with what. */
interface Failure {
  readonly request: Request;
  readonly errno: string;
}

export class PfkeyApply {
  readonly #dialect: Dialect;
  readonly #hidden = new HiddenPolicies();

  constructor(readonly channel: PfkeyChannel, readonly memory: PfkeyMemory) {
    this.#dialect = channel.dialect;
  }

  /** Does the changes in their order, one result for each. @throws {SyscallError} when the socket is broken. */
  apply(changes: readonly KernelChange[], surroundings: Surroundings): KernelResult[] {
    const results = changes.map((change) => this.#change(change, surroundings));
    this.#deleteHidden(surroundings);
    this.channel.drain();
    return results;
  }

  /** A whole dump has shown these records, by key. */
  dumped(keys: ReadonlySet<string>): void {
    this.#hidden.dumped(keys);
  }

  #deleteHidden(surroundings: Surroundings): void {
    for (let ids = this.#hidden.takeTries(); ids.length > 0; ids = this.#hidden.takeTries()) {
      for (const id of ids) this.#change({ kind: "delete-policy", id }, surroundings);
    }
  }

  #change(change: KernelChange, surroundings: Surroundings): KernelResult {
    const id = saOf(change);
    const planned = this.#dialect.encode(change, surroundings, id && this.memory.sourceOf(id));
    if (!planned.ok) return planned;
    const { requests, onExist } = planned.plan;
    let failure = this.#carryOut(requests, change, surroundings);
    if (failure?.errno === "EEXIST" && onExist.length > 0) {
      failure = this.#carryOut(onExist, change, surroundings);
    }
    if (failure !== undefined) {
      return { ok: false, reason: `${this.#dialect.messageName(failure.request.type)}: ${failure.errno}` };
    }
    this.memory.done(change);
    return DONE;
  }

  /** @returns the first request that failed, if one did: those after it are not sent. */
  #carryOut(
    requests: readonly Request[],
    change: KernelChange,
    surroundings: Surroundings,
  ): Failure | undefined {
    for (const request of requests) {
      const answer = this.channel.exchange(request);
      if (answer.kind === "lost") return { request, errno: "the kernel's answer was lost" };
      if (this.#dialect.hidesPolicies === true) this.#noteHidden(change, answer);
      if (answer.kind === "message") {
        if (isOfPolicy(change)) this.#learnPlace(answer.message, surroundings);
      } else if (!request.fine.includes(answer.errno)) return { request, errno: answer.errno };
    }
    return undefined;
  }

  #noteHidden(change: KernelChange, answer: PfkeyAnswer): void {
    if (change.kind === "put" && change.record.kind === "policy") this.#hidden.wanted(change.record.policy);
    if (change.kind !== "delete-policy") return;
    if (answer.kind === "message") this.#hidden.deleted(change.id);
    else this.#hidden.missed(change.id);
  }

  #learnPlace(answer: PfkeyMessage, surroundings: Surroundings): void {
    try {
      this.memory.learnPlace(this.#dialect.decode(answer, surroundings));
    } catch (error) {
      if (!(error instanceof DecodeError)) throw error; // no matter: it is an answer, and not an error
    }
  }
}

/** The SA that is changed, as it may be there already. */
function saOf(change: KernelChange): SaIdentity | undefined {
  if (change.kind === "delete-sa") return change.id;
  return change.kind === "put" && change.record.kind === "sa" ? change.record.sa : undefined;
}

function isOfPolicy(change: KernelChange): boolean {
  return change.kind === "delete-policy" || change.kind === "put" && change.record.kind === "policy";
}

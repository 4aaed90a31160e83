/** Brings the kernel's SADB and SPD to what is asked for: changes → requests → results. */

import { NLM_F_ACK } from "../layout/netlink.ts";
import { Writer } from "../layout/writer.ts";
import type { KernelChange, KernelResult } from "../ports.ts";
import { type OpaqueAttribute, SPACE } from "../record/opaque.ts";
import { policyKey } from "../record/policy.ts";
import { type Mark, type Sa, type SaIdentity, saTriple } from "../record/sa.ts";
import {
  XFRM_MSG_DELPOLICY,
  XFRM_MSG_DELSA,
  XFRM_MSG_GETSA,
  XFRM_MSG_NEWSA,
  XFRM_MSG_UPDPOLICY,
  XFRMA_MTIMER_THRESH,
} from "../xfrm/constants.ts";
import { encodePolicy, encodePolicyId } from "../xfrm/policy.ts";
import type { Encoded } from "../xfrm/refusal.ts";
import { encodeAttributeProbe, encodeSaId } from "../xfrm/requests.ts";
import { decodeSaMark, encodeSa } from "../xfrm/sa.ts";
import type { Surroundings } from "../xfrm/surroundings.ts";
import type { NetlinkAnswer, NetlinkChannel, NetlinkRequest } from "./netlink_channel.ts";
import { verdictOf } from "./xfrm_verdict.ts";

/** Changes that are sent at once. */
const BATCH = 64;
/** Room for them at first. */
const BATCH_BYTES = 64 * 1024;
const ENOENT = 2;
const ESRCH = 3;
const EEXIST = 17;
const EINVAL = 22;
const ERANGE = 34;

const DONE: KernelResult = { ok: true };

/** A change under way. */
interface Step {
  readonly change: KernelChange;
  readonly request: NetlinkRequest | undefined;
  result: KernelResult | undefined;
}

/** One that still has to be sent. */
type OpenStep = Step & { readonly request: NetlinkRequest };

/** What the kernel's lookup gives for an SA: that one, none, or why it must not be touched. */
type Lookup = "found" | "missing" | KernelResult;

export class XfrmApply {
  /** Whether the kernel knows an attribute, by type. */
  readonly #knows = new Map<number, boolean>();
  /** Used again and again: fresh memory costs more than the encoding. */
  readonly #writer = new Writer(undefined, BATCH_BYTES);

  constructor(readonly channel: NetlinkChannel, readonly surroundings: () => Surroundings) {}

  /** Does the changes in their order, one result for each. @throws {SyscallError | KernelReplyError} */
  apply(changes: readonly KernelChange[]): KernelResult[] {
    const surroundings = this.surroundings();
    return batches(changes).flatMap((batch) => this.#applyBatch(batch, surroundings));
  }

  #applyBatch(changes: readonly KernelChange[], surroundings: Surroundings): KernelResult[] {
    const writer = this.#writer.clear();
    const steps = changes.map((change) => this.#plan(change, surroundings, writer));
    this.#checkDeletes(steps);
    this.#makeRoom(changes, surroundings);
    this.#send(steps.filter(isOpen));
    this.#replace(steps.filter(isOpen));
    return steps.map(({ result }) => result ?? refused("left undone"));
  }

  #plan(change: KernelChange, surroundings: Surroundings, writer: Writer): Step {
    if (change.kind === "delete-sa") {
      return {
        change,
        request: acknowledged(XFRM_MSG_DELSA, encodeSaId(change.id, writer)),
        result: undefined,
      };
    }
    if (change.kind === "delete-policy") {
      return planned(change, XFRM_MSG_DELPOLICY, encodePolicyId(change.id, surroundings.interfaces, writer));
    }
    const { record } = change;
    const unknown = this.#unknownAttribute(record.kind === "sa" ? record.sa.opaque : record.policy.opaque);
    if (unknown !== undefined) return { change, request: undefined, result: refused(unknown) };
    return record.kind === "sa"
      ? planned(change, XFRM_MSG_NEWSA, encodeSa(record.sa, surroundings, writer))
      : planned(change, XFRM_MSG_UPDPOLICY, encodePolicy(record.policy, surroundings, writer));
  }

  /** The kernel deletes what its lookup finds, so ask first whether that is the one. */
  #checkDeletes(steps: readonly Step[]): void {
    const deletes = steps.flatMap((step) =>
      step.change.kind === "delete-sa" ? [{ step, id: step.change.id }] : []
    );
    for (const [i, lookup] of this.#lookUp(deletes.map(({ id }) => id)).entries()) {
      if (lookup === "missing") deletes[i]!.step.result = DONE;
      else if (lookup !== "found") deletes[i]!.step.result = lookup;
    }
  }

  /** A policy that is updated keeps its place among those of its priority; one that is put has to be the newest. */
  #makeRoom(changes: readonly KernelChange[], { interfaces }: Surroundings): void {
    const requests = changes.flatMap((change) => {
      if (change.kind !== "put" || change.record.kind !== "policy") return [];
      const encoded = encodePolicyId(change.record.policy, interfaces);
      return encoded.ok ? [acknowledged(XFRM_MSG_DELPOLICY, encoded.body)] : []; // the put tells why not
    });
    if (requests.length > 0) this.channel.exchange(requests); // most are not there; a failure shows in the order only
  }

  /** Leaves the puts of SAs that are there already without a result. */
  #send(steps: readonly OpenStep[]): void {
    const answers = this.channel.exchange(steps.map(({ request }) => request));
    for (const [i, step] of steps.entries()) {
      const answer = answers[i]!;
      if (!isStanding(step, answer)) step.result = judge(step, answer);
    }
  }

  /** Keys and counters of an SA cannot be changed in place: it is deleted and added. */
  #replace(steps: readonly OpenStep[]): void {
    if (steps.length === 0) return;
    const lookups = this.#lookUp(steps.map(putSa));
    for (const [i, lookup] of lookups.entries()) {
      if (typeof lookup === "object") steps[i]!.result = lookup;
    }
    const own = steps.filter(isOpen);
    const answers = this.channel.exchange(own.flatMap((step) => [
      acknowledged(XFRM_MSG_DELSA, encodeSaId(putSa(step))),
      step.request,
    ]));
    for (const [i, step] of own.entries()) step.result = judge(step, answers[i * 2 + 1]!);
  }

  #lookUp(ids: readonly SaIdentity[]): Lookup[] {
    const requests = ids.map((id) => ({ type: XFRM_MSG_GETSA, flags: 0, body: encodeSaId(id) }));
    return this.channel.exchange(requests).map((answer, i) => {
      if (answer.kind === "message") return compareMarks(decodeSaMark(answer.body), ids[i]!.mark);
      return isErrno(answer, ESRCH) ? "missing" : verdictOf(XFRM_MSG_GETSA, answer);
    });
  }

  /** Names the first critical attribute that the kernel would ignore. */
  #unknownAttribute(opaque: readonly OpaqueAttribute[]): string | undefined {
    const unknown = opaque.find(({ space, critical, type }) =>
      space === SPACE.LINUX && critical && type > XFRMA_MTIMER_THRESH && !this.#isKnown(type)
    );
    return unknown && `the kernel does not know XFRM attribute ${unknown.type}`;
  }

  #isKnown(type: number): boolean {
    const known = this.#knows.get(type);
    if (known !== undefined) return known;
    const probe = { type: XFRM_MSG_GETSA, flags: 0, body: encodeAttributeProbe(type) };
    const found = this.channel.exchange([probe]).some((answer) =>
      isErrno(answer, ERANGE) || isErrno(answer, EINVAL)
    );
    this.#knows.set(type, found);
    return found;
  }
}

/** Cuts the changes so that none waits in a batch for another one of the same policy, SA, or sibling by mark. */
function batches(changes: readonly KernelChange[]): KernelChange[][] {
  const cut: KernelChange[][] = [];
  let batch: KernelChange[] = [];
  let subjects = new Set<string>();
  for (const change of changes) {
    const subject = subjectOf(change);
    if (batch.length === BATCH || subjects.has(subject)) {
      cut.push(batch);
      batch = [];
      subjects = new Set();
    }
    batch.push(change);
    subjects.add(subject);
  }
  return batch.length === 0 ? cut : [...cut, batch];
}

function subjectOf(change: KernelChange): string {
  if (change.kind === "delete-sa") return saTriple(change.id);
  if (change.kind === "delete-policy") return policyKey(change.id);
  return change.record.kind === "sa" ? saTriple(change.record.sa) : policyKey(change.record.policy);
}

function putSa({ change }: Step): Sa {
  if (change.kind === "put" && change.record.kind === "sa") return change.record.sa;
  throw new TypeError(`Cannot replace an SA: the change is ${change.kind}`);
}

function isOpen(step: Step): step is OpenStep {
  return step.result === undefined && step.request !== undefined;
}

/** Whether an SA could not be added because it is there already. */
function isStanding({ change }: Step, answer: NetlinkAnswer): boolean {
  return change.kind === "put" && change.record.kind === "sa" && isErrno(answer, EEXIST);
}

/** What is missing has been deleted. */
function judge({ change, request }: OpenStep, answer: NetlinkAnswer): KernelResult {
  if (change.kind === "delete-sa" && isErrno(answer, ESRCH)) return DONE;
  if (change.kind === "delete-policy" && isErrno(answer, ENOENT)) return DONE;
  return verdictOf(request.type, answer);
}

function acknowledged(type: number, body: Uint8Array): NetlinkRequest {
  return { type, flags: NLM_F_ACK, body };
}

function planned(change: KernelChange, type: number, encoded: Encoded): Step {
  return encoded.ok
    ? { change, request: acknowledged(type, encoded.body), result: undefined }
    : { change, request: undefined, result: refused(encoded.reason) };
}

function compareMarks(found: Mark, wanted: Mark): Lookup {
  if (found.value === wanted.value && found.mask === wanted.mask) return "found";
  const mark = `0x${found.value.toString(16)}/0x${found.mask.toString(16)}`;
  return refused(`the kernel finds an SA with mark ${mark} in its place`);
}

function isErrno(answer: NetlinkAnswer, errno: number): boolean {
  return answer.kind === "verdict" && answer.errno === errno;
}

function refused(reason: string): KernelResult {
  return { ok: false, reason };
}

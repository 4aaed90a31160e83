/**
 * Reqids of inherited SAs: how many an IKE daemon may give again, and which it has given to another tunnel, so that
 * packets of that may leave on the inherited SA. A part of `Inherited`.
 */

import type { Counters } from "../ports.ts";
import type { Policy } from "../record/policy.ts";
import { identityOf, type RecordIdentity } from "../record/record.ts";
import { describe } from "./describe.ts";
import type { Effects } from "./effect.ts";
import type { PolicyUses } from "./policy_uses.ts";

/** An IKE daemon counts reqids from 1; greater ones were most likely configured. */
const GIVEN_REQIDS = 1000;

/** What of an inherited SA counts here. */
interface Owner {
  readonly identity: RecordIdentity;
  readonly reqid: number;
}

export class InheritedReqids {
  /** Policies that were written in this reign, and whose reqids have not been looked at. */
  readonly #unchecked = new Map<string, Policy>();
  readonly #reported = new Set<number>();

  constructor(private readonly parts: { readonly effects: Effects; readonly counters: Counters }) {}

  /** Another reign. */
  clear(): void {
    this.#unchecked.clear();
    this.#reported.clear();
  }

  /** No inherited SA is left. */
  forgetPolicies(): void {
    this.#unchecked.clear();
  }

  /** Somebody else has written this policy. */
  wrote(key: string, policy: Policy): void {
    this.#unchecked.set(key, policy);
  }

  /** Whether `check` has something to look at. */
  get isWaiting(): boolean {
    return this.#unchecked.size > 0;
  }

  /** Says at a takeover how many may be given again. */
  announce(sas: Iterable<Owner>): void {
    const given = [...sas].filter(({ reqid }) => reqid > 0 && reqid <= GIVEN_REQIDS).length;
    if (given === 0) return;
    this.#count("inherited SAs with reqids that may be given again", given);
    const text = `${given} inherited SAs have reqids that the local IKE daemon may give again (1 to ` +
      `${GIVEN_REQIDS}): set \`reqid\` for each child, above these`;
    this.parts.effects.log("state", text);
  }

  /** Says of each reqid once that it leads to one tunnel, but to another than it did by the `legacy` policies. */
  check(sas: ReadonlyMap<string, Owner>, legacy: PolicyUses): void {
    for (const [key, policy] of this.#unchecked) {
      for (const { reqid } of policy.templates) this.#checkOne(reqid, key, policy, sas, legacy);
    }
    this.#unchecked.clear();
  }

  #checkOne(
    reqid: number,
    key: string,
    policy: Policy,
    sas: ReadonlyMap<string, Owner>,
    legacy: PolicyUses,
  ): void {
    const before = legacy.withReqid(reqid);
    if (reqid === 0 || this.#reported.has(reqid) || before.size === 0 || before.has(key)) return;
    const sa = sas.values().find((one) => one.reqid === reqid);
    if (sa === undefined) return;
    this.#reported.add(reqid);
    this.#count("reqids given again", 1);
    const text = `reqid ${reqid} of the inherited ${describe(sa.identity)} was given again, to ${
      describe(identityOf({ kind: "policy", policy }))
    }: packets of one tunnel may leave on the other's SA; set \`reqid\` for each child in the IKE daemon`;
    this.parts.effects.log("error", text, "reqid given again");
  }

  #count(what: string, by: number): void {
    const { counters } = this.parts;
    counters[what] = (counters[what] ?? 0) + by;
  }
}

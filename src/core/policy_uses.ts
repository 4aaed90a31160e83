/**
 * Which SAs the policies of a kernel can use: a template names reqid, endpoints, protocol and mode, and perhaps an SPI.
 * Decoding thousands of policies takes long, so only changed ones are decoded, and so many at once.
 */

import {
  type Address,
  addressBits,
  equalBytes,
  familyOf,
  formatAddress,
  isAnyAddress,
  prefixContains,
} from "../record/address.ts";
import type { Policy, Template } from "../record/policy.ts";
import type { Sa } from "../record/sa.ts";
import { type Item, UNKNOWN_CONTENT } from "./inventory.ts";
import { decodePolicy } from "./order_watch.ts";

/** What of an SA a template asks for. */
export type SaTraits = Pick<Sa, "src" | "dst" | "protocol" | "mode" | "reqid" | "spi">;

/** One template of a policy. */
export interface Use {
  readonly key: string;
  readonly policy: Policy;
  readonly template: Template;
}

/** A policy that has been decoded. */
interface Known {
  readonly content: Uint8Array;
  readonly uses: readonly Use[];
}

/** The templates of all policies, found by what they ask for. */
export class PolicyUses {
  readonly #known = new Map<string, Known>();
  readonly #byReqid = new Map<number, Set<string>>();
  readonly #byPlace = new Map<string, Set<Use>>();

  /**
   * Takes in the policies as they are now, decoding no more than `limit`.
   *
   * @returns whether that was all.
   */
  refresh(items: Iterable<Pick<Item, "key" | "content">>, limit: number): boolean {
    const gone = new Set(this.#known.keys());
    let left = limit;
    for (const { key, content } of items) {
      gone.delete(key);
      if (this.#known.get(key)?.content === content) continue;
      if (left-- === 0) return false;
      this.#drop(key);
      this.#add(key, content);
    }
    for (const key of gone) this.#drop(key);
    return true;
  }

  /** The policies that can use this SA. */
  of(sa: SaTraits): Use[] {
    const reqids = new Set([sa.reqid, 0]);
    const places = [...reqids].flatMap((reqid) => [placeOf(reqid, sa.src, sa.dst), `${reqid} any`]);
    const found = places.flatMap((place) => [...this.#byPlace.get(place) ?? []]);
    return found.filter((use) => fits(use, sa));
  }

  /** Whether this policy is there and can use the SA. */
  canUse(key: string, sa: SaTraits): boolean {
    return this.#known.get(key)?.uses.some((use) => fits(use, sa)) === true;
  }

  /** The policies with a template of this reqid. */
  withReqid(reqid: number): ReadonlySet<string> {
    return this.#byReqid.get(reqid) ?? new Set();
  }

  #add(key: string, content: Uint8Array): void {
    const policy = content === UNKNOWN_CONTENT ? undefined : decodePolicy(content);
    const uses = policy?.templates.map((template): Use => ({ key, policy, template })) ?? [];
    this.#known.set(key, { content, uses });
    for (const use of uses) {
      insert(this.#byPlace, placeOfUse(use), use);
      insert(this.#byReqid, use.template.reqid, key);
    }
  }

  #drop(key: string): void {
    for (const use of this.#known.get(key)?.uses ?? []) {
      remove(this.#byPlace, placeOfUse(use), use);
      remove(this.#byReqid, use.template.reqid, key);
    }
    this.#known.delete(key);
  }
}

/** Linux: xfrm_state_find for what goes out, xfrm_state_ok for what comes in; marks are left to the kernel. */
function fits({ policy: { selector }, template }: Use, sa: SaTraits): boolean {
  return template.protocol === sa.protocol && template.mode === sa.mode &&
    (template.spi === 0 || template.spi === sa.spi) &&
    (template.reqid === 0 || template.reqid === sa.reqid) &&
    isEndpoint(template.src, sa.src, selector.src, selector.srcBits) &&
    isEndpoint(template.dst, sa.dst, selector.dst, selector.dstBits);
}

/** A template that names no endpoint is for those of the packet. */
function isEndpoint(named: Address, endpoint: Address, address: Address, bits: number): boolean {
  if (!isAnyAddress(named)) return equalBytes(named, endpoint);
  return prefixContains({ address, bits }, { address: endpoint, bits: addressBits(familyOf(endpoint)) });
}

function placeOfUse({ template: { reqid, src, dst } }: Use): string {
  return isAnyAddress(src) || isAnyAddress(dst) ? `${reqid} any` : placeOf(reqid, src, dst);
}

function placeOf(reqid: number, src: Address, dst: Address): string {
  return `${reqid} ${formatAddress(src)} ${formatAddress(dst)}`;
}

function insert<K, V>(map: Map<K, Set<V>>, key: K, value: V): void {
  const values = map.get(key);
  if (values === undefined) map.set(key, new Set([value]));
  else values.add(value);
}

function remove<K, V>(map: Map<K, Set<V>>, key: K, value: V): void {
  const values = map.get(key);
  values?.delete(value);
  if (values?.size === 0) map.delete(key);
}

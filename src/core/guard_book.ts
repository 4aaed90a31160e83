/**
 * Which local endpoints a slave has to keep from sending, kept up to date record by record. A kernel sends on
 * an SA only through a policy, and the policy says which side is ours. In transport mode a wider local policy can
 * find an SA too, so the source of a transport SA is guarded unless a policy shows that it is the other side.
 */

import { type Address, formatAddress, type Prefix, prefixContains } from "../record/address.ts";
import { DIRECTION, type Policy } from "../record/policy.ts";
import type { IpsecRecord } from "../record/record.ts";
import { MODE, type Sa, SA_DIRECTION } from "../record/sa.ts";

interface Claim {
  readonly address: Address;
  readonly side: "local" | "remote" | "source";
}

interface Counts {
  readonly address: Address;
  local: number;
  remote: number;
  source: number;
}

/** Counts what the records of mirror and kernel say of each address. */
export class GuardBook {
  readonly #claims = new Map<string, readonly Claim[]>();
  readonly #counts = new Map<string, Counts>();
  /** What `addresses` gives, by name. */
  readonly #guarded = new Map<string, Address>();
  #changed = false;

  /** `shared`: where it is configured, our endpoints lie within it, so that others need no guard. */
  constructor(private shared: readonly Prefix[]) {}

  /** Our endpoints lie there from now on. */
  configure(shared: readonly Prefix[]): void {
    this.shared = shared;
    for (const [name, counts] of this.#counts) this.#judge(name, counts);
  }

  set(key: string, record: IpsecRecord): void {
    const claims = record.kind === "sa" ? saClaims(record.sa) : policyClaims(record.policy);
    for (const claim of claims) this.#count(claim, 1); // before the old ones go, so that nothing flickers
    this.delete(key);
    if (claims.length > 0) this.#claims.set(key, claims);
  }

  delete(key: string): void {
    for (const claim of this.#claims.get(key) ?? []) this.#count(claim, -1);
    this.#claims.delete(key);
  }

  /** Whether `addresses` may differ from the time when this was last asked. */
  takeChanged(): boolean {
    const changed = this.#changed;
    this.#changed = false;
    return changed;
  }

  /** The endpoints to guard, in no particular order. */
  addresses(): Address[] {
    return [...this.#guarded.values()];
  }

  /** Whether this node would send on the SA, as far as can be known: unless it is one of those that it receives on. */
  sendsOn({ src, dst, direction }: Sa): boolean {
    if (direction !== SA_DIRECTION.NONE) return direction === SA_DIRECTION.OUT;
    return this.#isEndpoint(src) || !this.#isEndpoint(dst);
  }

  /** Whether `shared`, or else a policy, says that the address is one of this group's own. */
  #isEndpoint(address: Address): boolean {
    if (this.shared.length > 0) return this.#isOurs(address);
    return (this.#counts.get(formatAddress(address))?.local ?? 0) > 0;
  }

  #count({ address, side }: Claim, by: 1 | -1): void {
    const name = formatAddress(address);
    const counts = this.#counts.get(name) ?? { address, local: 0, remote: 0, source: 0 };
    counts[side] += by;
    if (counts.local + counts.remote + counts.source === 0) this.#counts.delete(name);
    else this.#counts.set(name, counts);
    this.#judge(name, counts);
  }

  #judge(name: string, counts: Counts): void {
    const isGuarded = this.#needsGuard(counts);
    if (isGuarded === this.#guarded.has(name)) return;
    this.#changed = true;
    if (isGuarded) this.#guarded.set(name, counts.address);
    else this.#guarded.delete(name);
  }

  #needsGuard({ address, local, remote, source }: Counts): boolean {
    return (local > 0 || source > 0 && remote === 0) && this.#isOurs(address);
  }

  #isOurs(address: Address): boolean {
    const host = { address, bits: address.length * 8 };
    return this.shared.length === 0 || this.shared.some((prefix) => prefixContains(prefix, host));
  }
}

function saClaims({ src, dst, direction, mode }: Sa): Claim[] {
  if (direction === SA_DIRECTION.IN) return [{ address: src, side: "remote" }];
  if (direction === SA_DIRECTION.OUT) {
    return [{ address: src, side: "local" }, { address: dst, side: "remote" }];
  }
  return mode === MODE.TUNNEL ? [] : [{ address: src, side: "source" }];
}

function policyClaims({ direction, templates, selector }: Policy): Claim[] {
  return templates.flatMap(({ mode, src, dst }): Claim[] => {
    const ends = mode === MODE.TRANSPORT
      ? { src: hostOf(selector.src, selector.srcBits), dst: hostOf(selector.dst, selector.dstBits) }
      : { src, dst };
    const local = direction === DIRECTION.OUT ? ends.src : ends.dst;
    const remote = direction === DIRECTION.OUT ? ends.dst : ends.src;
    return [
      ...(local === undefined || isUnset(local) ? [] : [{ address: local, side: "local" as const }]),
      ...(remote === undefined || isUnset(remote) ? [] : [{ address: remote, side: "remote" as const }]),
    ];
  });
}

function hostOf(address: Address, bits: number): Address | undefined {
  return bits === address.length * 8 ? address : undefined;
}

function isUnset(address: Address): boolean {
  return address.every((byte) => byte === 0);
}

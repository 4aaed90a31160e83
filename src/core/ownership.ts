/**
 * Whose record is it: shared between the gateways, or local to one node. A function of the record and the
 * configuration alone, never of memory, and the same on every node (DESIGN section 4).
 */

import {
  type Address,
  familyOf,
  formatPrefix,
  isAnyAddress,
  type Prefix,
  prefixContains,
} from "../record/address.ts";
import type { Policy } from "../record/policy.ts";
import type { IpsecRecord } from "../record/record.ts";
import { MODE, type Selector } from "../record/sa.ts";

/** What makes a record local. */
export interface Ownership {
  /** Peers' addresses, addresses that `listen on` names, and `exclude`: an endpoint in one of them is local. */
  readonly local: readonly Prefix[];
  /** `shared`: when not empty, an endpoint has to be in one of them. */
  readonly shared: readonly Prefix[];
}

/** Whether the record is synchronised. */
export function isShared(record: IpsecRecord, ownership: Ownership): boolean {
  const endpoints = record.kind === "sa"
    ? [host(record.sa.src), host(record.sa.dst)]
    : policyEndpoints(record.policy);
  const named = endpoints.length > 0 || record.kind === "sa"
    ? endpoints
    : selectorEndpoints(record.policy.selector);
  if (named.some((endpoint) => within(ownership.local, endpoint))) return false;
  if (ownership.shared.length === 0 || endpoints.length === 0) return true;
  return endpoints.some((endpoint) => within(ownership.shared, endpoint));
}

/** The endpoints that a policy's templates name; none for a policy without templates (block or allow). */
function policyEndpoints({ templates, selector }: Policy): Prefix[] {
  return templates.flatMap((template) =>
    template.mode === MODE.TRANSPORT || isAnyAddress(template.dst) && isAnyAddress(template.src)
      ? selectorEndpoints(selector)
      : [host(template.src), host(template.dst)]
  );
}

function selectorEndpoints({ src, srcBits, dst, dstBits }: Selector): Prefix[] {
  return [{ address: src, bits: srcBits }, { address: dst, bits: dstBits }];
}

function host(address: Address): Prefix {
  return { address, bits: familyOf(address) === 4 ? 32 : 128 };
}

/** Whether both make the same records local, as far as that follows from the same addresses. */
export function isSameOwnership(a: Ownership, b: Ownership): boolean {
  return isSameList(a.local, b.local) && isSameList(a.shared, b.shared);
}

function isSameList(a: readonly Prefix[], b: readonly Prefix[]): boolean {
  return a.map(formatPrefix).toSorted().join() === b.map(formatPrefix).toSorted().join();
}

function within(list: readonly Prefix[], endpoint: Prefix): boolean {
  return list.some((prefix) => prefixContains(prefix, endpoint));
}

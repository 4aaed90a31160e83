/**
 * Keeps a slave from sending on a mirrored SA: one `from ADDRESS unreachable` rule for each local tunnel endpoint
 * (DESIGN section 7). The rules outlive the process, so a keeper sweeps them when it has died; each names its owner,
 * so that a late keeper leaves alone what the next daemon has set.
 */

import { KernelReplyError } from "../errors.ts";
import { NLM_F_ACK, NLM_F_CREATE, NLM_F_DUMP, NLM_F_EXCL } from "../layout/netlink.ts";
import {
  decodeGuardRule,
  encodeGuardRule,
  encodeRuleDump,
  type GuardRule,
  RTM_DELRULE,
  RTM_GETRULE,
  RTM_NEWRULE,
} from "../link/rules.ts";
import type { Guard, KernelSocket } from "../ports.ts";
import { type Address, formatAddress } from "../record/address.ts";
import { errnoName } from "../xfrm/errno.ts";
import { NetlinkChannel, type NetlinkRequest } from "./netlink_channel.ts";

const ENOENT = 2;
const EEXIST = 17;
const EAFNOSUPPORT = 97;

export class RuleGuard implements Guard {
  readonly #channel: NetlinkChannel;
  /** The addresses that have a rule, by their text. */
  #standing: ReadonlyMap<string, Address> = new Map();

  /** `socket` is a NETLINK_ROUTE one; it is closed by `close`. `owner` marks this daemon's rules: 32 bits, not 0. */
  constructor(socket: KernelSocket, readonly owner: number) {
    this.#channel = new NetlinkChannel(socket);
  }

  set(addresses: readonly Address[]): void {
    const wanted = new Map(addresses.map((address) => [formatAddress(address), address]));
    const { owner } = this;
    this.#add([...wanted].flatMap(([text, address]) => this.#standing.has(text) ? [] : { address, owner }));
    this.#remove(
      [...this.#standing].flatMap(([text, address]) => wanted.has(text) ? [] : { address, owner }),
    );
    this.#standing = wanted;
  }

  /** Removes the rules of this owner, or those of every daemon. @throws {SyscallError | KernelReplyError} */
  sweep(whose: "own" | "all"): void {
    const rules = [...this.#list(4), ...this.#list(6)];
    this.#remove(rules.filter(({ owner }) => whose === "all" || owner === this.owner));
    this.#standing = new Map();
  }

  #list(family: 4 | 6): GuardRule[] {
    const rules = this.#channel.dump({ type: RTM_GETRULE, flags: NLM_F_DUMP, body: encodeRuleDump(family) });
    if (rules === EAFNOSUPPORT) return []; // no IPv6 here
    if (typeof rules === "number") throw new KernelReplyError("RTM_GETRULE", errnoName(rules));
    return rules.flatMap(({ body }) => decodeGuardRule(body) ?? []);
  }

  #add(rules: readonly GuardRule[]): void {
    const flags = NLM_F_ACK | NLM_F_CREATE | NLM_F_EXCL;
    this.#change("RTM_NEWRULE", RTM_NEWRULE, flags, rules, EEXIST);
  }

  #remove(rules: readonly GuardRule[]): void {
    this.#change("RTM_DELRULE", RTM_DELRULE, NLM_F_ACK, rules, ENOENT);
  }

  #change(name: string, type: number, flags: number, rules: readonly GuardRule[], harmless: number): void {
    const requests = rules.map((rule): NetlinkRequest => ({ type, flags, body: encodeGuardRule(rule) }));
    for (const answer of this.#channel.exchange(requests)) {
      if (answer.kind === "lost") throw new KernelReplyError(name, "ENOBUFS", "the answer was lost");
      if (answer.kind !== "verdict" || answer.errno === 0 || answer.errno === harmless) continue;
      throw new KernelReplyError(name, errnoName(answer.errno), answer.text);
    }
  }
}

/**
 * Keeps a slave from sending on a mirrored SA: one `from ADDRESS unreachable` rule for each local tunnel endpoint
 * (DESIGN section 7). The rules outlive the process, so a keeper sweeps them when it has died.
 */

import { KernelReplyError } from "../errors.ts";
import { NLM_F_ACK, NLM_F_CREATE, NLM_F_DUMP, NLM_F_EXCL } from "../layout/netlink.ts";
import {
  decodeGuardRule,
  encodeGuardRule,
  encodeRuleDump,
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

  /** `socket` is a NETLINK_ROUTE one; it is closed by `close`. */
  constructor(socket: KernelSocket) {
    this.#channel = new NetlinkChannel(socket);
  }

  set(addresses: readonly Address[]): void {
    const wanted = new Map(addresses.map((address) => [formatAddress(address), address]));
    this.#add([...wanted].flatMap(([text, address]) => this.#standing.has(text) ? [] : address));
    this.#remove([...this.#standing].flatMap(([text, address]) => wanted.has(text) ? [] : address));
    this.#standing = wanted;
  }

  /** Removes every rule of the guard's, also those of another process. @throws {SyscallError | KernelReplyError} */
  sweep(): void {
    this.#remove([...this.#list(4), ...this.#list(6)]);
    this.#standing = new Map();
  }

  close(): void {
    this.#channel.close();
  }

  #list(family: 4 | 6): Address[] {
    const rules = this.#channel.dump({ type: RTM_GETRULE, flags: NLM_F_DUMP, body: encodeRuleDump(family) });
    if (rules === EAFNOSUPPORT) return []; // no IPv6 here
    if (typeof rules === "number") throw new KernelReplyError("RTM_GETRULE", errnoName(rules));
    return rules.flatMap(({ body }) => decodeGuardRule(body) ?? []);
  }

  #add(addresses: readonly Address[]): void {
    const flags = NLM_F_ACK | NLM_F_CREATE | NLM_F_EXCL;
    this.#change("RTM_NEWRULE", RTM_NEWRULE, flags, addresses, EEXIST);
  }

  #remove(addresses: readonly Address[]): void {
    this.#change("RTM_DELRULE", RTM_DELRULE, NLM_F_ACK, addresses, ENOENT);
  }

  #change(name: string, type: number, flags: number, addresses: readonly Address[], harmless: number): void {
    const requests = addresses.map((address): NetlinkRequest => ({
      type,
      flags,
      body: encodeGuardRule(address),
    }));
    for (const answer of this.#channel.exchange(requests)) {
      if (answer.kind === "lost") throw new KernelReplyError(name, "ENOBUFS", "the answer was lost");
      if (answer.kind !== "verdict" || answer.errno === 0 || answer.errno === harmless) continue;
      throw new KernelReplyError(name, errnoName(answer.errno), answer.text);
    }
  }
}

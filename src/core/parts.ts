/** What a node is made of, joined. The parts of its own duties (talk, takeover, kernel steps) work on these. */

import type { Counters, Takeover } from "../ports.ts";
import type { Prefix } from "../record/address.ts";
import type { Sa } from "../record/sa.ts";
import { Effects } from "./effect.ts";
import { Follower } from "./follower.ts";
import { GuardBook } from "./guard_book.ts";
import { Inherited } from "./inherited.ts";
import { Inventory } from "./inventory.ts";
import type { Place } from "./lease.ts";
import { Master } from "./master.ts";
import { Membership } from "./membership.ts";
import { Mirror } from "./mirror.ts";
import { OwnKernel } from "./own_kernel.ts";
import type { Ownership } from "./ownership.ts";
import { ApplyQueue } from "./queue.ts";
import { Renegotiation } from "./renegotiation.ts";

/** What of a node's settings another configuration can change while it runs. */
export interface NodeChoices {
  /** All configured peers, by the names that the caller uses. */
  readonly peers: readonly string[];
  readonly ownership: Ownership;
  /** `shared` of the configuration: where our endpoints lie. */
  readonly sharedPrefixes: readonly Prefix[];
  /** Which of the nodes this one is. */
  readonly place: Place;
  /** `replay strict`: after a takeover no packet is taken that may have come before it. */
  readonly strictReplay: boolean;
}

/** What a node is made from. */
export interface NodeSettings extends NodeChoices {
  /** 32 hexadecimal digits, random per process start. */
  readonly nodeId: string;
  readonly flushMode: "startup" | "never" | "sync";
  /** What the own kernel says of an SA. */
  readonly takeover: (sa: Sa) => Takeover;
  /** The own kernel takes counters (KernelIpsec.advance). */
  readonly canAdvance: boolean;
  /** How many inherited tunnels are negotiated anew in a second; undefined: none. */
  readonly renegotiatePerSecond?: number;
  /** The own kernel sets limits alone (KernelIpsec.limit). */
  readonly canLimit: boolean;
}

/** One node's parts. */
export interface NodeParts {
  readonly settings: NodeSettings;
  readonly mirror: Mirror;
  readonly inventory: Inventory;
  readonly membership: Membership;
  readonly queue: ApplyQueue;
  readonly effects: Effects;
  readonly guard: GuardBook;
  readonly master: Master;
  readonly follower: Follower;
  readonly kernel: OwnKernel;
  readonly inherited: Inherited;
  /** undefined: nothing is negotiated anew. */
  readonly renegotiation: Renegotiation | undefined;
  /** How often what happened, by name. */
  readonly counters: Counters;
}

/** The parts of a node that has just started. */
export function makeParts(settings: NodeSettings): NodeParts {
  const { nodeId, peers, sharedPrefixes, flushMode, canAdvance } = settings;
  const mirror = new Mirror();
  const inventory = new Inventory();
  const membership = new Membership(nodeId, peers);
  const queue = new ApplyQueue();
  const effects = new Effects();
  const counters: Counters = {};
  const guard = new GuardBook(sharedPrefixes);
  const master = new Master(mirror, flushMode !== "never", peers);
  const follower = new Follower(settings, mirror, inventory, queue, guard, effects);
  const common = { membership, mirror, inventory, guard, master, follower, effects, counters };
  const kernel = new OwnKernel({ ...common, settings });
  const inherited = new Inherited({ mirror, inventory, effects, counters, tellsProgress: canAdvance });
  const perSecond = settings.renegotiatePerSecond;
  const renegotiation = perSecond === undefined
    ? undefined
    : new Renegotiation({ heritage: inherited, perSecond, effects, counters });
  return { ...common, settings, queue, kernel, inherited, renegotiation };
}

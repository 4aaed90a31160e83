/** Makes the connections with classic peers of a configuration, where they can be had, and says what they are worth. */

import { createHash } from "node:crypto";
import type { Config } from "../config/config.ts";
import type { Node } from "../core/node.ts";
import { openbsdMessages } from "../core/openbsd_messages.ts";
import { ConfigError } from "../errors.ts";
import { HOST_ORDER } from "../layout/byte_order.ts";
import type { RepeatLimit } from "../log/repeat_limit.ts";
import type { Log } from "../log/verbosity.ts";
import type { Clock, Random, Transport } from "../ports.ts";
import { ClassicPeers } from "./classic_peers.ts";
import type { Resolved } from "./resolve_config.ts";

/** What the classic connections need of the daemon. */
export interface ClassicSurroundings {
  readonly clock: Clock;
  readonly random: Random;
  readonly transport: Transport;
  readonly log: Log;
  readonly refusals: RepeatLimit;
  readonly troubles: RepeatLimit;
  /** Name of the system. */
  readonly os: string;
}

/** @throws {ConfigError} when a peer is to be spoken classic with on a system that has no messages for it. */
export function openClassic(
  config: Config,
  { classicPeers: peers, named }: Resolved,
  node: Node,
  { os, ...surroundings }: ClassicSurroundings,
): ClassicPeers {
  const { clock, log } = surroundings;
  if (peers.length > 0) {
    requireOpenbsd(config, os);
    log.notice(`protocol classic with ${peers.map(({ name }) => name).join(", ")}: ${WORTH}`);
  }
  return new ClassicPeers({
    ...surroundings,
    peers,
    localAddresses: named,
    raw: openbsdMessages(HOST_ORDER, () => clock.wallSeconds()),
    flushes: config.flushMode === "startup",
    events: {
      up: (peer, slaveOnly) => node.peerUp(peer, idOf(peer), slaveOnly, "classic"),
      down: (peer) => node.peerDown(peer, clock.bootMs()),
      message: (peer, message, nowMs) => node.receive(peer, message, nowMs),
      role: () => node.membership.state().role,
      rankOf: (key) => node.mirror.get(key)?.rank ?? node.mirror.nextRank(),
      holds: (key) => node.mirror.get(key) !== undefined,
    },
  });
}

const WORTH =
  "it hides what is sent, and no more: messages can be recorded and sent again, their type can be " +
  "changed on the way, and who learns the key reads all that was ever recorded";

function requireOpenbsd({ file, kernel }: Config, os: string): void {
  if (kernel === "memory openbsd" || os === "openbsd" && kernel !== "memory") return;
  const message =
    `protocol classic cannot be spoken here: it carries messages of OpenBSD's PF_KEY, and this is ${os} ` +
    `with kernel ${kernel} (kernel memory openbsd has them on any system)`;
  throw new ConfigError([{ file, line: 0, message }]);
}

/** A classic peer has no node id: this one is its own and the same on every node. */
function idOf(peer: string): string {
  return createHash("sha256").update(`classic ${peer}`).digest("hex").slice(0, 32);
}

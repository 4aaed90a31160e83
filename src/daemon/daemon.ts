/** Makes a gateway of a resolved configuration and the ports of the system. */

import type { Config } from "../config/config.ts";
import type { Place } from "../core/lease.ts";
import { Node } from "../core/node.ts";
import type { NodeChoices } from "../core/parts.ts";
import { RepeatLimit } from "../log/repeat_limit.ts";
import type { Log } from "../log/verbosity.ts";
import type {
  Clock,
  Demoter,
  Guard,
  IkeCommander,
  IkeControl,
  KernelIpsec,
  Listener,
  LocalDoors,
  LocalListener,
  Poller,
  Random,
  RoleTracker,
  Transport,
} from "../ports.ts";
import { METRICS_CONTENT_TYPE, printMetrics } from "../status/metrics.ts";
import { equalBytes } from "../record/address.ts";
import { MAX_ADDRESSES } from "../wire/native/catalog.ts";
import { CAPABILITY, type Hello, REVISION } from "../wire/native/message.ts";
import { AllCommanders } from "./all_commanders.ts";
import { AllPeers } from "./all_peers.ts";
import { type ControlCommand, ControlServer } from "./control_server.ts";
import { Gateway } from "./gateway.ts";
import { handoverCommand } from "./handover_command.ts";
import { RekeyControl } from "./ike_rekey.ts";
import { RenegotiationControl } from "./ike_renegotiation.ts";
import { IkeOrders } from "./ike_orders.ts";
import { IkeSwitch } from "./ike_switch.ts";
import { MetricsServer } from "./metrics_server.ts";
import { Monitor } from "./monitor.ts";
import { openClassic } from "./open_classic.ts";
import { Peers } from "./peers.ts";
import { Preference } from "./preference.ts";
import { Premises, type PremisesPorts } from "./premises.ts";
import { type Configuration, Reload, type ReloadPorts } from "./reload.ts";
import type { Resolved } from "./resolve_config.ts";
import { RoleWatch } from "./role_watch.ts";
import { verifyCommands } from "./verify_command.ts";
import type { Supervisor } from "./supervisor.ts";
import { logCommands, showCommands } from "./show_commands.ts";
import { statusOf } from "./status_view.ts";

/** A line that comes again is only counted for this long. */
const QUIET_MS = 60_000;

/** The world as the daemon sees it. */
export interface DaemonPorts {
  readonly clock: Clock;
  readonly random: Random;
  readonly poller: Poller;
  readonly transport: Transport;
  readonly listeners: readonly Listener[];
  /** What reads the configuration again; undefined: nothing does. */
  readonly reload?: ReloadPorts;
  readonly kernel: KernelIpsec;
  readonly guard: Guard;
  readonly tracker: RoleTracker;
  /** undefined: there is nothing to demote. */
  readonly demoter?: Demoter;
  /** Tells the IKE daemons whether to act; undefined: there are none. */
  readonly ike?: IkeCommander;
  /** For negotiating anew with strongSwan. */
  readonly doors?: Pick<LocalDoors, "connect">;
  /** The control socket; undefined: there is none. */
  readonly control?: LocalListener;
  /** Where figures are asked for; undefined: nowhere. */
  readonly metrics?: Listener;
  /** What else a takeover needs; undefined: it is not compared. */
  readonly premises?: PremisesPorts;
  /** Tells the service manager; undefined: there is none that wants to know. */
  readonly supervisor?: Supervisor;
  readonly log: Log;
  /** Has the log say more, or what it said at first. */
  readonly adjustLog?: (loudness: "verbose" | "brief") => void;
  /** Name of the system, for HELLO. */
  readonly os: string;
}

/**
 * A gateway that is ready to `run`, in the role that its tracker states.
 *
 * @throws {SyscallError | KernelReplyError | DecodeError} when the tracker cannot tell.
 * @throws {ConfigError} when what is configured cannot be had on this system.
 */
export function makeGateway(config: Config, resolved: Resolved, ports: DaemonPorts): Gateway {
  const { clock, random, poller, kernel, guard, tracker, demoter } = ports;
  const monitor = new Monitor(() => poller.wake());
  const log = monitor.overhear(ports.log);
  const refusals = new RepeatLimit({ say: (text) => log.error(text), quietMs: QUIET_MS });
  const troubles = new RepeatLimit({ say: (text) => log.state(text), quietMs: QUIET_MS });
  const nodeId = random.bytes(16);
  const node = new Node({
    ...choicesOf({ config, resolved }),
    nodeId: nodeId.toHex(),
    flushMode: config.flushMode,
    takeover: (sa) => kernel.takeover(sa),
    canAdvance: kernel.advance !== undefined,
    renegotiatePerSecond: config.renegotiatePerSecond,
    canLimit: kernel.limit !== undefined,
  });
  let hello = helloOf(nodeId, ports.os, resolved);
  const classic = openClassic(config, resolved, node, { ...ports, log, refusals, troubles });
  const native = new Peers({
    transport: ports.transport,
    clock,
    random,
    log,
    refusals,
    troubles,
    peers: resolved.peers,
    listeners: ports.listeners,
    adopt: (connection) => classic.adopt(connection),
    localAddresses: resolved.named,
    hello,
    events: {
      up(peer, theirs, slaveOnly) {
        if (!equalBytes(theirs.settingsDigest, hello.settingsDigest)) {
          warnOfSettings(refusals, peer, clock.bootMs());
        }
        const compares = (theirs.capabilities & CAPABILITY.DIGESTS) !== 0;
        node.peerUp(peer, theirs.nodeId.toHex(), slaveOnly, compares ? "native" : "snapshots");
      },
      down: (peer) => node.peerDown(peer, clock.bootMs()),
      heard: (peer, nowMs) => node.heard(peer, nowMs),
      message(peer, message) {
        if (premises?.hear(peer, message, clock.bootMs()) !== true) {
          node.receive(peer, message, clock.bootMs());
        }
      },
    },
  });
  const premises = ports.premises && new Premises({
    node,
    ports: ports.premises,
    send: (peer, messages) => native.send(peer, messages),
    wake: () => poller.wake(),
  });
  const roles = new RoleWatch({ tracker, node, clock });
  roles.look();
  const preference = demoter === undefined ? undefined : new Preference(node, demoter, log);
  const negotiations = openNegotiations(config, node, ports).map((one) => new IkeSwitch(one, log));
  const orders = new IkeOrders(negotiations, clock);
  const ike = ports.ike === undefined ? orders : new AllCommanders([ports.ike, orders]);
  const repeats = refusals;
  const canDemote = demoter !== undefined;
  const allPeers = new AllPeers(native, classic);
  const reload = ports.reload === undefined ? undefined : new Reload({
    ports: ports.reload,
    log,
    configuration: { config, resolved },
    begins: () => ports.supervisor?.reloading(),
    wake: () => poller.wake(),
    apply(next, listeners, tracker) {
      const { peers, named: localAddresses } = next.resolved;
      hello = helloOf(nodeId, ports.os, next.resolved);
      allPeers.configure({ peers, listeners, localAddresses, hello });
      node.configure(choicesOf(next), clock.bootMs());
      if (tracker !== undefined) roles.track(tracker);
    },
  });
  const isLocked = () => (reload?.current.config ?? config).mode === "master";
  const handover = handoverCommand({ node, isLocked, canDemote });
  const informants = { node, kernel, peers: allPeers };
  const commands: Record<string, ControlCommand> = {
    handover,
    ...showCommands(informants),
    ...logCommands(ports.adjustLog ?? (() => {})),
    ...verifyCommands({ node, premises }),
    monitor: () => monitor.listen(),
  };
  if (reload !== undefined) commands.reload = reload.command();
  const listener = ports.control;
  const control = listener === undefined ? undefined : new ControlServer({ listener, clock, commands });
  const metrics = ports.metrics === undefined ? undefined : new MetricsServer({
    listener: ports.metrics,
    clock,
    page: {
      contentType: METRICS_CONTENT_TYPE,
      print: () => printMetrics(statusOf(informants, clock.bootMs())),
    },
  });
  return new Gateway({
    node,
    kernel,
    guard,
    poller,
    clock,
    log,
    repeats,
    troubles,
    peers: allPeers,
    roles,
    preference,
    ike,
    control,
    reload,
    monitor,
    metrics,
    supervisor: ports.supervisor,
  });
}

/** What a node takes from a configuration, at the start and from each later one. */
function choicesOf({ config, resolved }: Configuration): NodeChoices {
  return {
    peers: everyPeer(resolved).map(({ name }) => name),
    ownership: resolved.ownership,
    sharedPrefixes: config.shared,
    place: placeOf(resolved),
    strictReplay: config.replay === "strict",
  };
}

function everyPeer({ peers, classicPeers }: Resolved) {
  return [...peers, ...classicPeers];
}

function helloOf(nodeId: Uint8Array, os: string, resolved: Resolved): Hello {
  return {
    type: "hello",
    revision: REVISION,
    nodeId,
    os,
    capabilities: CAPABILITY.DIGESTS,
    settingsDigest: resolved.settingsDigest,
    // nothing follows from them: what decides is in the digest
    addresses: [...resolved.named, ...everyPeer(resolved).map(({ address }) => address)].slice(
      0,
      MAX_ADDRESSES,
    ),
  };
}

/** What charon is asked to negotiate while this node is master. */
function openNegotiations(
  { control }: Config,
  { renegotiation, numberEnd }: Node,
  { clock, log, doors }: DaemonPorts,
): IkeControl[] {
  const isStrongswan = typeof control === "object" && control.daemon === "strongswan";
  if (doors === undefined || !isStrongswan) return [];
  const common = { path: control.socket, doors, log };
  const rekey = new RekeyControl({ ...common, numberEnd });
  if (renegotiation === undefined) return [rekey];
  return [rekey, new RenegotiationControl({ ...common, renegotiation, clock })];
}

/** Nodes that disagree about what is local would undo each other's work. */
function warnOfSettings(refusals: RepeatLimit, peer: string, nowMs: number): void {
  const what = "listen on, peer, exclude, shared and flushmode name other addresses than here; " +
    "each node has to name its own address with listen on";
  refusals.once(`${peer} settings`, `peer ${peer}: ${what}`, nowMs);
}

/** The nodes by their addresses; one that does not say by `listen on` which is its own counts as the last. */
function placeOf({ named, peers }: Resolved): Place {
  const own = named.find(({ length }) => peers.some(({ address }) => address.length === length));
  const before = peers.filter(({ address }) => own === undefined || address.toHex() < own.toHex());
  return { index: before.length, nodes: peers.length + 1 };
}

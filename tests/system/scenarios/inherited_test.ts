/**
 * What becomes of inherited tunnels, and what that costs: at a rekey by the client, when they expire on the gateway, idle
 * with dead peer detection, and negotiated anew by the gateway; sites, and road warriors with virtual addresses. All of
 * them at once, each client with an outer address of its own.
 */

import { assert, assertEquals } from "@std/assert";
import {
  ADDRESS,
  Charon,
  configurationOf,
  eventually,
  guest,
  Network,
  type Node,
  PREFIX,
  type Process,
  Sasyncd,
  step,
  test as testInGuest,
  waitEqual,
} from "../lab/mod.ts";
import { give, take, waitForRole, Warm } from "./failover.ts";

guest({ limitSeconds: 400 });

const { server, virtual } = ADDRESS;

/** What ends a tunnel after the first takeover. */
const EVENTS = ["rekey", "expiry", "idle"] as const;

type Event = typeof EVENTS[number];

/** A client of the gateways. */
interface Client {
  readonly name: string;
  readonly event: Event;
  readonly isSite: boolean;
  /** Its address outside, and the one that it pings from. */
  readonly outer: string;
  readonly inner: string;
  /** The same on both gateways. */
  readonly reqid: number;
}

const CLIENTS: readonly Client[] = EVENTS.flatMap((event, i) => [
  {
    name: `site-${event}`,
    event,
    isSite: true,
    outer: `192.0.2.${11 + i}`,
    inner: `10.1.${11 + i}.1`,
    reqid: 1001 + i,
  },
  {
    name: `road-${event}`,
    event,
    isSite: false,
    outer: `192.0.2.${21 + i}`,
    inner: `10.3.0.${1 + i}`,
    reqid: 1101 + i,
  },
]);

const SITES = CLIENTS.filter(({ isSite }) => isSite);

const netOf = ({ inner }: Client) => inner.replace(/\.1$/, ".0/24");

/** How many packets an SA lives that is to expire; 50 go in a second. */
const LIFE_PACKETS = 800;

/** Whose swanctl.conf it is. SAs that `gw1` has negotiated may expire, those of `gw2` never do. */
type End = "client" | "gw1" | "gw2";

/** A site's network is fixed; a road warrior's address comes from a pool with this one address. */
function connection(client: Client, end: End): string {
  const { name, isSite, outer, inner, event, reqid } = client;
  const isGateway = end !== "client";
  const ids = isGateway ? [virtual.pub.v4, name] : [name, virtual.pub.v4];
  const nets = [PREFIX.in.v4, isSite ? netOf(client) : "dynamic"];
  const [local, remote] = isGateway ? nets : nets.toReversed();
  const own = isGateway
    ? [isSite ? `unique = ${event === "idle" ? "never" : "no"}` : `pools = ${name}`]
    : [isSite ? "" : `vips = ${inner}`, "dpd_delay = 2s"];
  const ofChild = isGateway
    ? [
      `reqid = ${reqid}`,
      isSite ? "start_action = trap" : "",
      end === "gw1" && event === "expiry" ? `life_packets = ${LIFE_PACKETS}` : "",
    ]
    : ["dpd_action = restart"];
  return `
  ${name} {
    version = 2
    local_addrs = ${isGateway ? virtual.pub.v4 : outer}
    remote_addrs = ${isGateway ? isSite ? outer : "%any" : virtual.pub.v4}
    proposals = aes256-sha256-modp2048
    encap = no
    mobike = no
    ${own.join("\n    ")}
    local {
      auth = psk
      id = ${ids[0]}
    }
    remote {
      auth = psk
      id = ${ids[1]}
    }
    children {
      ${name} {
        local_ts = ${local}
        remote_ts = ${remote}
        esp_proposals = aes256gcm16-esn
        rekey_time = 0
        ${ofChild.join("\n        ")}
      }
    }
  }`;
}

function swanctlConf(end: End): string {
  const pools = CLIENTS.filter(({ isSite }) => end !== "client" && !isSite)
    .map(({ name, inner }) => `  ${name} {\n    addrs = ${inner}/32\n  }`);
  return `connections {${CLIENTS.map((client) => connection(client, end)).join("")}
}
pools {
${pools.join("\n")}
}
secrets {
  ike-lab {
    secret = "for the laboratory only"
  }
}
`;
}

/** A gateway that follows the virtual address and keeps its charon still while it is a slave. */
function startDaemon(node: Node, ...more: string[]): Promise<Sasyncd> {
  const tracking = `interface pub address ${virtual.pub.v4}`;
  return Sasyncd.start(node, configurationOf(node.name, ["control strongswan", tracking, ...more]));
}

/** A ping every 20 ms from a client to the server. */
class Pings {
  private constructor(readonly process: Process) {}

  static start(node: Node, { inner }: Client): Pings {
    return new Pings(node.spawn("ping", "-D", "-i", "0.02", "-I", inner, server.in.v4));
  }

  /** Number and time in ms of the answers. */
  answers(): { n: number; ms: number }[] {
    return this.process.lines.flatMap((line) => {
      const [, at, n] = /^\[([\d.]+)\].* icmp_seq=(\d+) .*time=/.exec(line) ?? [];
      return n === undefined ? [] : [{ n: Number(n), ms: Number(at) * 1000 }];
    });
  }

  /** What was lost since a moment, and the longest silence. */
  since(ms: number): { sent: number; lost: number; silenceMs: number } {
    const got = this.answers().filter((one) => one.ms >= ms);
    const gaps = got.slice(1).map((one, i) => one.ms - got[i]!.ms);
    const sent = (got.at(-1)?.n ?? 0) - (got[0]?.n ?? 0) + 1;
    return { sent, lost: sent - got.length, silenceMs: Math.round(Math.max(0, ...gaps)) };
  }

  /** So many more are answered. */
  async more(count: number): Promise<void> {
    const before = this.answers().length;
    await eventually(`${count} answers`, () => this.answers().length >= before + count, 20_000);
  }
}

let lab: Network;
let warm: Warm;
let one: Sasyncd;
let two: Sasyncd;
let charons: { peer: Charon; gw1: Charon; gw2: Charon };
const pings = new Map<string, Pings>();

/** A test that shows all logs when it fails. */
const test = (name: string, body: () => Promise<void>) =>
  testInGuest(name, async () => {
    try {
      await body();
    } catch (error) {
      for (const daemon of [one, two]) step(`${daemon?.node.name}\n${daemon?.process.tail(60)}`);
      for (const charon of Object.values(charons ?? {})) {
        step(`${charon.node.name}\n${charon.process.tail(150)}`);
      }
      throw error;
    }
  });

/** SPIs in a node's kernel of SAs of these clients. */
async function spisOf(node: Node, clients: readonly Client[]): Promise<string[]> {
  const outer = clients.map((one) => one.outer);
  const states = (await node.run("ip", "xfrm", "state")).split(/^(?=src )/m);
  return states.filter((state) => state.split("\n")[0]!.split(" ").some((word) => outer.includes(word)))
    .flatMap((state) => state.match(/spi 0x[0-9a-f]+/) ?? []);
}

const seconds = (sinceMs: number) => `${Math.round((Date.now() - sinceMs) / 1000)} s`;

/** How often the client has got new SAs for a child. */
const established = ({ name }: Client) =>
  charons.peer.process.countLines(new RegExp(`CHILD_SA ${name}\\{\\d+\\} established`));

/** Packets that came on an SA of another tunnel, on the client and on both gateways. */
async function mismatches(): Promise<number[]> {
  const nodes = [lab.client, lab.gw1, lab.gw2];
  const stats = await Promise.all(nodes.map((node) => node.run("cat", "/proc/net/xfrm_stat")));
  return stats.map((text) => Number(/XfrmInTmplMismatch\s+(\d+)/.exec(text)?.[1]));
}

/** Says what a tunnel has gone through. */
function tell(what: string, client: Client, sinceMs: number): { lost: number; silenceMs: number } {
  const { sent, lost, silenceMs } = pings.get(client.name)!.since(sinceMs);
  step(`${what}, ${client.name}: ${lost} of ${sent} pings lost, silence ${silenceMs} ms`);
  return { lost, silenceMs };
}

test("three sites and three road warriors, and a slave with all of their SAs", async () => {
  lab = await Network.build();
  await lab.client.ip(
    ...CLIENTS.map(({ outer }) => `addr add ${outer}/24 dev pub`),
    ...SITES.map(({ inner }) => `addr add ${inner}/24 dev inner`),
    // what has no tunnel is not sent in clear
    ...["10.1.0.0/16", "10.3.0.0/24"].map((net) =>
      `xfrm policy add src ${net} dst ${PREFIX.in.v4} dir out action block priority 2000000000`
    ),
  );
  for (const node of [lab.gw1, lab.gw2]) {
    await node.ip(
      `route add 10.1.0.0/16 via ${ADDRESS.client.pub.v4}`,
      `route add 10.3.0.0/24 via ${ADDRESS.client.pub.v4}`,
    );
  }
  warm = await Warm.start(lab);
  await warm.do(give(lab.gw1));
  const [gw1, gw2] = [
    await Charon.start(lab.gw1, swanctlConf("gw1")),
    await Charon.start(lab.gw2, swanctlConf("gw2")),
  ];
  charons = { gw1, gw2, peer: await Charon.start(lab.client, swanctlConf("client")) };
  one = await startDaemon(lab.gw1, "renegotiate 1/s");
  two = await startDaemon(lab.gw2);
  for (const [daemon, role, word] of [[one, "MASTER", "active"], [two, "SLAVE", "passive"]] as const) {
    await waitForRole(daemon, role);
    await daemon.waitForLog(new RegExp(`strongswan is ${word}`));
  }
  for (const { name } of CLIENTS) {
    await charons.peer.swanctl("--initiate", "--child", name, "--timeout", "20");
  }
  await two.waitForLog(/synchronised with/);
  await waitEqual(lab.gw1, lab.gw2);
});

const clientsOf = (...events: readonly Event[]) => CLIENTS.filter(({ event }) => events.includes(event));

/** All pings are answered. */
const allPings = (count: number) => Promise.all([...pings.values()].map((one) => one.more(count)));

test("a takeover costs the inherited tunnels nothing, and ends none", async () => {
  for (const client of clientsOf("rekey", "expiry")) pings.set(client.name, Pings.start(lab.client, client));
  await allPings(50);
  await charons.gw1.kill();
  const fromMs = Date.now();
  await warm.do(take(lab.gw1), give(lab.gw2));
  await waitForRole(two, "MASTER");
  const [line] = await two.waitForLog(/inherited 12 SAs, .*/);
  step(line);
  await two.waitForLog(/strongswan is active/);
  await allPings(100);
  for (const client of clientsOf("rekey", "expiry")) {
    assert(tell("takeover", client, fromMs).lost <= 20);
    assertEquals(established(client), 1);
  }
});

test("then they are rekeyed by the client, expire on the gateway, or are found dead when idle", async () => {
  const fromMs = Date.now();
  const back = lab.server.spawn(
    "ping",
    "-i",
    "0.2",
    CLIENTS.find(({ name }) => name === "site-expiry")!.inner,
  );
  for (const { name } of clientsOf("rekey")) await charons.peer.swanctl("--rekey", "--child", name);
  for (const client of clientsOf("idle")) {
    await charons.peer.process.waitForLine(
      new RegExp(`<${client.name}\\|\\d+> retransmit 1 of request`),
      20_000,
    );
    pings.set(client.name, Pings.start(lab.client, client)); // they do not end what charon is at
  }
  charons = { ...charons, gw1: await Charon.start(lab.gw1, swanctlConf("gw2")) };
  for (const client of CLIENTS) {
    await eventually(`new SAs of ${client.name}`, () => established(client) >= 2, 90_000);
  }
  await allPings(100);
  for (const client of CLIENTS) assert(tell("ended", client, fromMs).silenceMs < 60_000);
  await back.end();
  assertEquals(await mismatches(), [0, 0, 0]);
});

test("the next master negotiates the sites anew, and what they replace goes", async () => {
  await eventually("a charon that was made passive", async () => {
    return !/TUNNEL/.test(await charons.gw1.swanctl("--list-pols", "--trap"));
  }, 20_000);
  await waitEqual(lab.gw2, lab.gw1);
  const old = await spisOf(lab.client, SITES);
  assertEquals(old.length, 2 * SITES.length);
  const before = new Map(CLIENTS.map((client) => [client.name, established(client)]));
  const from = one.log.length;
  await charons.gw2.kill();
  const fromMs = Date.now();
  await warm.do(take(lab.gw2), give(lab.gw1));
  await allPings(100);
  for (const client of CLIENTS) assert(tell("takeover", client, fromMs).lost <= 20);
  const quietMs = Date.now();
  await one.waitForLog(
    /inherited tunnels: 3 negotiated anew, 0 failed, 0 known to charon, 3 cannot/,
    60_000,
    from,
  );
  step(`the sites have new SAs ${seconds(fromMs)} after the takeover`);
  await allPings(100);
  for (const client of CLIENTS) {
    assert(tell("negotiated anew", client, quietMs).lost <= 50);
    assertEquals(established(client) > before.get(client.name)!, client.isSite);
  }
  await eventually("end of what was inherited", async () => {
    const held = [...await spisOf(lab.gw1, SITES), ...await spisOf(lab.gw2, SITES)];
    return !held.some((spi) => old.includes(spi));
  }, 90_000);
  step(`what they replace is gone ${seconds(fromMs)} after the takeover`);
  await allPings(100);
  for (const client of CLIENTS) assert(tell("to the end", client, quietMs).lost <= 50);
  assertEquals(await mismatches(), [0, 0, 0]);
  await waitEqual(lab.gw1, lab.gw2);
});

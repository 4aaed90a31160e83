/**
 * The work of an IKE daemon without IKE: 1,000 tunnels on the gateway that is master, 2,000 SAs, which get new keys all
 * the time, and some packets through them. After a takeover it goes on where the kernel of the new master stands.
 */

import { ADDRESS, delay, type Node, step } from "../lab/mod.ts";

/** Each has an SA in either direction, and an outbound policy. */
export const TUNNELS = 1000;
/** Tunnels that get new keys at once. */
const BURST = 8;
/** Of the time in which all must have new keys, as now and then the work rests. */
const HASTE = 0.8;
/** Tunnels that a packet is sent through with each burst, besides those with new keys. */
const TALKING = 32;

const HERE = ADDRESS.virtual.pub.v4;
const THERE = ADDRESS.client.pub.v4;

/** For all gateways: where the tunnels lead. */
export const ROUTE = `route add 10.0.0.0/8 via ${THERE}`;

/** Outbound, with even SPIs, and inbound, with odd ones. */
const WAYS = [0, 1];

/** A tunnel with the keys that it had for a while. */
interface Keyed {
  readonly tunnel: number;
  readonly generation: number;
}

export class Load {
  /** How often each tunnel has been given keys. */
  readonly #generations = new Uint32Array(TUNNELS);
  /** When that was last. */
  readonly #keyedMs = new Float64Array(TUNNELS);
  /** In this order they get new ones, again and again. */
  readonly #order: readonly number[];
  #next = 0;
  /** Replaced, and still there beside the new ones until the next burst. */
  #replaced: Keyed[] = [];
  /** When the next ones are. */
  #dueMs = 0;
  #running: Promise<void> | undefined;
  #stopped = false;
  /** Changes of the kernel so far. */
  changes = 0;
  /** The longest time that a tunnel has kept its keys. */
  longestMs = 0;

  /** `node` has the address. */
  constructor(public node: Node, readonly random: () => number, readonly rekeyAllMs: number) {
    this.#order = Array.from({ length: TUNNELS }, (_, tunnel) => ({ tunnel, at: random() }))
      .sort((a, b) => a.at - b.at).map(({ tunnel }) => tunnel);
  }

  /** Makes all tunnels. */
  async fill(): Promise<void> {
    this.#dueMs = performance.now();
    this.#keyedMs.fill(this.#dueMs);
    await this.#change(this.#order.flatMap((tunnel) => [
      ...statesOf("add", this.#now(tunnel)),
      policyOf("add", this.#now(tunnel)),
    ]));
  }

  start(): void {
    this.#stopped = false;
    this.#running ??= this.#run();
  }

  /** Returns when the last change has been made. */
  async stop(): Promise<void> {
    this.#stopped = true;
    await this.#running;
    this.#running = undefined;
    this.longestMs = Math.max(this.longestMs, performance.now() - Math.min(...this.#keyedMs));
  }

  /**
   * Brings the node's kernel to what there should be.
   * @returns what was missing, too many or old
   */
  async mend(): Promise<string[]> {
    for (let tries = 3;; tries--) {
      const { told, lines } = await this.#differences();
      try {
        await this.#change(lines);
        return told;
      } catch (error) { // what the old master had on its way comes in between
        if (tries === 1) throw error;
        step(`${this.node.name}: ${told.length} differences, once more`);
      }
    }
  }

  /** In words, and what is to be done about them. */
  async #differences(): Promise<{ told: string[]; lines: string[] }> {
    const states = await this.node.run("ip", "xfrm", "state");
    const policies = await this.node.run("ip", "xfrm", "policy");
    const there = new Set([...states.matchAll(/proto esp spi 0x([0-9a-f]{8})/g)].map(([, spi = ""]) => spi));
    const current = this.#order.map((tunnel) => this.#now(tunnel));
    const spisOf = (keyed: Keyed) => WAYS.map((way) => spiOf(keyed, way));
    const known = [...current, ...this.#replaced];
    const tooMany = there.difference(new Set(known.flatMap(spisOf)));
    const missing = new Set(known.flatMap(spisOf)).difference(there);
    const isWhole = (keyed: Keyed) => !spisOf(keyed).some((spi) => missing.has(spi));
    const broken = known.filter((keyed) => !isWhole(keyed));
    const reqids = new Map(
      [...policies.matchAll(/dst (10\.\d+\.\d+)\.0\/24[^]*?reqid (\d+)/g)].map(([, net, id]) => [net, id]),
    );
    const old = current.filter((keyed) => reqids.get(netOf(keyed.tunnel)) !== `${reqidOf(keyed)}`);
    const useless = [...tooMany, ...broken.flatMap(spisOf).filter((spi) => there.has(spi))];
    this.#replaced = this.#replaced.filter(isWhole);
    return {
      told: [
        ...[...missing].map((spi) => `SA 0x${spi} is missing`),
        ...[...tooMany].map((spi) => `SA 0x${spi} is too many`),
        ...old.map(({ tunnel }) => `policy of ${netOf(tunnel)} is missing or old`),
      ],
      lines: [
        ...useless.map((spi) => stateId("delete", spi)),
        ...current.filter((keyed) => !isWhole(keyed)).flatMap(({ tunnel }) => this.#remake(tunnel)),
        ...old.filter(isWhole).map((keyed) => policyOf("update", keyed)),
      ],
    };
  }

  /** With new keys: the old master may have sent with those that are missing. */
  #remake(tunnel: number): string[] {
    this.#generations[tunnel]! += 1;
    const now = this.#now(tunnel);
    return [...statesOf("add", now), policyOf("update", now)];
  }

  async #run(): Promise<void> {
    const pauseMs = this.rekeyAllMs * HASTE * BURST / TUNNELS;
    while (!this.#stopped) {
      if (performance.now() < this.#dueMs) {
        await delay(100);
        continue;
      }
      this.#dueMs += pauseMs; // what was left undone while it rested is made up for
      await this.#burst();
    }
  }

  async #burst(): Promise<void> {
    const gone = this.#replaced.flatMap((keyed) => statesOf("delete", keyed));
    this.#replaced = [];
    const tunnels = Array.from({ length: BURST }, () => this.#order[this.#next++ % TUNNELS]!);
    await this.#change([...gone, ...tunnels.flatMap((tunnel) => this.#rekey(tunnel))]);
    await this.#talk(tunnels);
  }

  /** New SAs, and the policy points to them; now and then the whole tunnel is taken down and made again. */
  #rekey(tunnel: number): string[] {
    const before = this.#now(tunnel);
    this.#generations[tunnel]! += 1;
    this.longestMs = Math.max(this.longestMs, performance.now() - this.#keyedMs[tunnel]!);
    this.#keyedMs[tunnel] = performance.now();
    const now = this.#now(tunnel);
    const isAnew = this.random() < 0.1;
    if (!isAnew) this.#replaced.push(before);
    return [
      ...(isAnew ? [policyOf("delete", before), ...statesOf("delete", before)] : []),
      ...statesOf("add", now),
      policyOf(isAnew ? "add" : "update", now),
    ];
  }

  /** The client has none of the SAs and says nothing. */
  async #talk(tunnels: readonly number[]): Promise<void> {
    const others = Array.from({ length: TALKING }, () => Math.floor(this.random() * TUNNELS));
    const nets = [...tunnels, ...others].map(netOf).join(" ");
    await this.node.shell(`for net in ${nets}; do echo >/dev/udp/$net.1/9; done 2>/dev/null; true`);
  }

  async #change(lines: readonly string[]): Promise<void> {
    await this.node.ip(...lines.map((line) => `xfrm ${line}`));
    this.changes += lines.length;
  }

  #now(tunnel: number): Keyed {
    return { tunnel, generation: this.#generations[tunnel]! };
  }
}

function statesOf(verb: "add" | "delete", keyed: Keyed): string[] {
  return WAYS.map((way) => verb === "add" ? addState(keyed, way) : stateId("delete", spiOf(keyed, way)));
}

function addState(keyed: Keyed, way: number): string {
  const spi = spiOf(keyed, way);
  const key = `aead rfc4106(gcm(aes)) 0x${spi.repeat(5)} 128`;
  const mode = `reqid ${reqidOf(keyed)} mode tunnel replay-window 64`;
  return `${stateId("add", spi)} ${mode} ${key} limit time-hard 86400`;
}

function stateId(verb: string, spi: string): string {
  const [src, dst] = Number(`0x${spi}`) % 2 === 0 ? [HERE, THERE] : [THERE, HERE];
  return `state ${verb} src ${src} dst ${dst} proto esp spi 0x${spi}`;
}

function policyOf(verb: "add" | "update" | "delete", keyed: Keyed): string {
  const id = `policy ${verb} dst ${netOf(keyed.tunnel)}.0/24 dir out`;
  if (verb === "delete") return id;
  return `${id} priority 100 tmpl src ${HERE} dst ${THERE} proto esp reqid ${reqidOf(keyed)} mode tunnel`;
}

function netOf(tunnel: number): string {
  return `10.${tunnel >> 8}.${tunnel & 255}`;
}

function spiOf({ tunnel, generation }: Keyed, way: number): string {
  return (0x10_0000 + tunnel * 2 + way + generation * TUNNELS * 2).toString(16).padStart(8, "0");
}

/** Above those that an IKE daemon gives by itself. */
function reqidOf({ tunnel, generation }: Keyed): number {
  return 100_000 + tunnel + (generation % 2) * TUNNELS;
}

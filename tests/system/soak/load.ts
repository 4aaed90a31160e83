/** The work of an IKE daemon without IKE: 1,000 tunnels on a gateway, 2,000 SAs, which get new keys all the time. */

import { ADDRESS, delay, type Node } from "../lab/mod.ts";

/** Each has an SA in either direction, and an outbound policy. */
export const TUNNELS = 1000;
/** Tunnels that get new keys at once, and how long until the next ones. */
const BURST = 8;
const PAUSE_MS = 300;

const HERE = ADDRESS.virtual.pub.v4;
const THERE = ADDRESS.client.pub.v4;

export class Load {
  /** How often each tunnel has been given keys. */
  readonly #generations = new Uint32Array(TUNNELS);
  #running: Promise<void> | undefined;
  #stopped = false;
  /** Changes of the kernel so far. */
  changes = 0;

  constructor(readonly node: Node, readonly random: () => number) {}

  /** Makes all tunnels. */
  async fill(): Promise<void> {
    const all = Array.from({ length: TUNNELS }, (_, tunnel) => tunnel);
    await this.#change(all.flatMap((tunnel) => [...this.#sas("add", tunnel), this.#policy("add", tunnel)]));
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
  }

  async #run(): Promise<void> {
    while (!this.#stopped) {
      const tunnels = new Set(Array.from({ length: BURST }, () => Math.floor(this.random() * TUNNELS)));
      await this.#change([...tunnels].flatMap((tunnel) => this.#rekey(tunnel)));
      await delay(PAUSE_MS);
    }
  }

  /** New SAs, the policy points to them, the old ones go; now and then the whole tunnel is taken down and made again. */
  #rekey(tunnel: number): string[] {
    const old = this.#sas("delete", tunnel);
    const isAnew = this.random() < 0.1;
    const down = isAnew ? [this.#policy("delete", tunnel), ...old] : [];
    this.#generations[tunnel]! += 1;
    const policy = this.#policy(isAnew ? "add" : "update", tunnel);
    return [...down, ...this.#sas("add", tunnel), policy, ...(isAnew ? [] : old)];
  }

  async #change(lines: readonly string[]): Promise<void> {
    await this.node.ip(...lines.map((line) => `xfrm ${line}`));
    this.changes += lines.length;
  }

  #sas(verb: "add" | "delete", tunnel: number): string[] {
    return [[HERE, THERE], [THERE, HERE]].map(([src, dst], i) => {
      const spi = hex(0x10_0000 + (tunnel * 2 + i) + this.#generations[tunnel]! * TUNNELS * 2);
      const id = `state ${verb} src ${src} dst ${dst} proto esp spi 0x${spi}`;
      if (verb === "delete") return id;
      const key = `aead rfc4106(gcm(aes)) 0x${spi.repeat(9)} 128`;
      return `${id} reqid ${this.#reqid(tunnel)} mode tunnel replay-window 64 ${key} limit time-hard 86400`;
    });
  }

  #policy(verb: "add" | "update" | "delete", tunnel: number): string {
    const id = `policy ${verb} dst 10.${tunnel >> 8}.${tunnel & 255}.0/24 dir out`;
    if (verb === "delete") return id;
    return `${id} priority 100 tmpl src ${HERE} dst ${THERE} proto esp reqid ${
      this.#reqid(tunnel)
    } mode tunnel`;
  }

  #reqid(tunnel: number): number {
    return tunnel + 1 + (this.#generations[tunnel]! % 2) * TUNNELS;
  }
}

function hex(spi: number): string {
  return spi.toString(16).padStart(8, "0");
}

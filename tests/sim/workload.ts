/** What happens in the kernels of a simulated world: an IKE daemon's work on masters, and accidents everywhere. */

import { encodeContent } from "../../src/record/encoding.ts";
import { type OpaqueAttribute, SPACE } from "../../src/record/opaque.ts";
import { type Policy, POLICY_TYPE } from "../../src/record/policy.ts";
import { type IpsecRecord, recordKey } from "../../src/record/record.ts";
import type { Sa } from "../../src/record/sa.ts";
import { addr, samplePolicy, sampleSa, sampleSelector, sampleTemplate } from "../fakes/records.ts";
import type { Gateway } from "./gateway.ts";
import { REFUSED_REQID } from "./kernel.ts";
import { LOCAL_ENDPOINT, type World } from "./world.ts";

/** SPIs of new SAs that replace others; few, so that they come again. */
const REKEY_SPIS = 40;

/** Bytes of a great record: a few fill the window of a peer. */
const GREAT_BYTES = 24 * 1024;

/** Changes of one SA at a time. */
const BURST = 150;

/** A local SA and a local policy that nothing may touch. @returns their contents */
export function placeLocals({ kernel }: Gateway): Map<string, string> {
  const records: IpsecRecord[] = [
    { kind: "sa", sa: sampleSa({ dst: LOCAL_ENDPOINT, spi: 0x77 }) },
    { kind: "policy", policy: samplePolicy({ templates: [sampleTemplate({ dst: LOCAL_ENDPOINT })] }) },
  ];
  for (const record of records) kernel.apply([{ kind: "put", record }]);
  return contents(records);
}

export function isShared(record: IpsecRecord): boolean {
  const endpoint = record.kind === "sa" ? record.sa.dst : record.policy.templates[0]?.dst;
  return endpoint?.join() !== LOCAL_ENDPOINT.join();
}

/** Key to content, in this form. */
export function contents(
  records: readonly IpsecRecord[],
  form = (record: IpsecRecord) => record,
): Map<string, string> {
  return new Map(
    records.map((record) => [recordKey(record), encodeContent(form(record)).toHex()] as const).toSorted(),
  );
}

/** A record without limits: a takeover may leave those that a slave had. */
export function withoutLimits(record: IpsecRecord): IpsecRecord {
  return record.kind === "sa"
    ? { kind: "sa", sa: { ...record.sa, soft: {}, hard: {} } }
    : { kind: "policy", policy: { ...record.policy, soft: {}, hard: {} } };
}

/** What happens in kernels. */
export class Workload {
  #spi = 0;

  /** `isHeavy`: SAs are great, and some records change often. */
  constructor(private readonly world: World, private readonly isHeavy: boolean) {}

  /** Somebody changes a kernel: on masters an IKE daemon, on a slave somebody who should not. */
  disturb(): void {
    const { world } = this;
    const masters = world.gateways.filter(({ role }) => role === "MASTER");
    const gateway = masters.length > 0 && world.random() < 0.9
      ? world.pick(masters)
      : world.pick(world.gateways);
    const { kernel } = gateway;
    const shared = kernel.records().filter(isShared);
    const dice = world.random();
    if (dice < 0.03) return this.#flush(gateway, () => kernel.flushSas(world.pick([0, 50])));
    if (dice < 0.05) return this.#flush(gateway, () => kernel.flushPolicies(POLICY_TYPE.MAIN));
    if (shared.length === 0 || dice > 0.6) return this.#make(gateway, this.#anyRecord());
    const record = world.pick(shared);
    if (this.isHeavy && dice > 0.55) this.#burst(gateway, record);
    else if (dice < 0.1 && record.kind === "sa") this.expire(gateway, record.sa);
    else if (dice < 0.25) this.delete(gateway, record);
    else if (dice < 0.45 && record.kind === "sa") this.#rekey(gateway, record.sa);
    else this.#update(gateway, record);
  }

  /** Something new on a master, with all that there is room for. */
  fill(gateway: Gateway, count: number): void {
    for (let i = 0; i < count; i++) this.#make(gateway, this.#anyRecord());
  }

  expire(gateway: Gateway, sa: Sa): void {
    this.#lose(gateway, { kind: "sa", sa });
    gateway.kernel.expire(sa);
  }

  delete(gateway: Gateway, record: IpsecRecord): void {
    this.#lose(gateway, record);
    gateway.kernel.disturb(
      record.kind === "sa"
        ? { kind: "delete-sa", id: record.sa }
        : { kind: "delete-policy", id: record.policy },
    );
  }

  /** An IKE daemon deletes what it has made, and what it thinks that it has. */
  endIke(gateway: Gateway): void {
    for (const record of gateway.kernel.records().filter(isShared)) this.delete(gateway, record);
  }

  /** Without `flushmode startup` a node may keep what its master has no more, and use it again. */
  #lose({ options }: Gateway, record: IpsecRecord): void {
    const { watch } = this.world;
    watch.gone(recordKey(record));
    if (record.kind === "sa" && !options.sweeps) watch.ended(record.sa);
  }

  #put({ kernel }: Gateway, record: IpsecRecord): void {
    this.world.watch.identities.add(recordKey(record));
    kernel.disturb({ kind: "put", record });
  }

  #make(gateway: Gateway, record: IpsecRecord): void {
    if (gateway.role === "MASTER") this.#put(gateway, record);
  }

  /** A new SA, and a while later the old one goes. */
  #rekey(gateway: Gateway, old: Sa): void {
    const { world } = this;
    if (gateway.role !== "MASTER") return;
    const spi = 0x2000 + this.#spi++ % REKEY_SPIS;
    const { reqid, opaque } = old;
    this.#put(gateway, { kind: "sa", sa: sampleSa({ spi, reqid, opaque, aead: world.freshKey() }) });
    const { kernel } = gateway;
    world.later(world.random() * 3000, () => {
      if (gateway.kernel === kernel) this.delete(gateway, { kind: "sa", sa: old });
    });
  }

  /** The same SA with other limits, or a policy in another place. */
  #update(gateway: Gateway, record: IpsecRecord): void {
    const { world } = this;
    if (record.kind === "policy") {
      const changed: Partial<Policy> = world.random() < 0.5
        ? { priority: world.pick([1000, 2000]) }
        : { templates: [sampleTemplate({ reqid: world.pick([1, 2]) })] };
      return this.#make(gateway, { kind: "policy", policy: { ...record.policy, ...changed } });
    }
    const limit = BigInt(3600 + Math.floor(world.random() * 4));
    const soft = { addSeconds: limit - 100n };
    this.#make(gateway, { kind: "sa", sa: { ...record.sa, soft, hard: { addSeconds: limit } } });
  }

  /** One record changes faster than it can be told. */
  #burst(gateway: Gateway, record: IpsecRecord): void {
    for (let i = 0; i < BURST; i++) this.#update(gateway, record);
  }

  /** A flush takes the local records too; their owner puts them back. */
  #flush(gateway: Gateway, act: () => void): void {
    const before = gateway.kernel.records();
    act();
    const left = contents(gateway.kernel.records());
    for (const record of before) {
      if (left.has(recordKey(record))) continue;
      if (isShared(record)) this.#lose(gateway, record);
      else gateway.kernel.disturb({ kind: "put", record });
    }
  }

  #anyRecord(): IpsecRecord {
    const { world } = this;
    const n = Math.floor(world.random() * 12);
    const reqid = world.pick([1, 2, REFUSED_REQID]);
    if (world.random() < 0.6) {
      const mark = n < 9 ? { value: 0, mask: 0 } : { value: n, mask: 0xff };
      const spi = 0x1000 + (n < 9 ? n : 0x100);
      const opaque = this.isHeavy ? [greatAttribute(n)] : [];
      return { kind: "sa", sa: sampleSa({ spi, reqid, mark, opaque, aead: world.freshKey() }) };
    }
    const dstBits = world.pick([24, 23]);
    const dst = addr(`10.2.${dstBits === 23 ? n & ~1 : n}.0`);
    const selector = sampleSelector({ dst, dstBits });
    return { kind: "policy", policy: samplePolicy({ selector, templates: [sampleTemplate({ reqid })] }) };
  }
}

function greatAttribute(n: number): OpaqueAttribute {
  return { space: SPACE.LINUX, type: 1000, critical: false, value: new Uint8Array(GREAT_BYTES).fill(n) };
}

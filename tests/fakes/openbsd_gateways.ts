/** Daemons over an OpenBSD kernel in memory, and the other processes of that machine. */

import { PfkeyKernel } from "../../src/daemon/pfkey_kernel.ts";
import { Reader } from "../../src/layout/reader.ts";
import type { Planned, Request } from "../../src/pfkey/dialect.ts";
import { sadbSa, sadbSpirange } from "../../src/pfkey/extensions.ts";
import {
  decodeMessage,
  encodeMessage,
  ExtensionWriter,
  readExtensions,
  splitMessages,
} from "../../src/pfkey/message.ts";
import { openbsdDialect } from "../../src/pfkey/openbsd.ts";
import { OPENBSD_MESSAGES, SADB_DUMP_NAME, SPD_DUMP_NAME } from "../../src/pfkey/openbsd_constants.ts";
import type { KernelChange } from "../../src/ports.ts";
import type { Policy } from "../../src/record/policy.ts";
import type { IpsecRecord } from "../../src/record/record.ts";
import type { Sa } from "../../src/record/sa.ts";
import { contentsOf, type DaemonOptions, DaemonWith } from "./gateways.ts";
import { FakeKeySocket, FakeOpenbsdKernel, type KernelClock, type OpenbsdOptions } from "./openbsd_kernel.ts";
import { samplePolicy, sampleSa, sampleSelector, sampleTemplate } from "./records.ts";
import type { World } from "./world.ts";

/** Process ids on that machine. */
const DAEMON_PID = 4711;
const IKED_PID = 77;
/** CLOCK_REALTIME when CLOCK_BOOTTIME is 0. */
const BOOTED_SECONDS = 1_700_000_000;

/** An SA as OpenBSD tells it. */
export function openbsdSa(spi: number, overrides: Partial<Sa> = {}): IpsecRecord {
  return { kind: "sa", sa: sampleSa({ spi, reqid: 0, ...overrides }) };
}

/** A flow as OpenBSD tells it. */
export function openbsdFlow(port: number, overrides: Partial<Policy> = {}): IpsecRecord {
  const selector = sampleSelector({ dstPort: port, dstPortMask: 0xffff, protocol: 17 });
  return {
    kind: "policy",
    policy: samplePolicy({ selector, priority: 34, templates: [sampleTemplate({ reqid: 0 })], ...overrides }),
  };
}

/** Puts it into a kernel. */
export function put(record: IpsecRecord): KernelChange {
  return { kind: "put", record };
}

/** Deletes it from a kernel. */
export function remove(record: IpsecRecord): KernelChange {
  return record.kind === "sa"
    ? { kind: "delete-sa", id: record.sa }
    : { kind: "delete-policy", id: record.policy };
}

/** A process that changes the kernel's SADB and SPD by hand or by IKE. */
export class Iked {
  readonly #socket: FakeKeySocket;
  readonly #dialect;
  #seq = 0;

  constructor(readonly kernel: FakeOpenbsdKernel, readonly pid = IKED_PID) {
    this.#socket = kernel.open(pid);
    this.#dialect = openbsdDialect(kernel.platform.order);
  }

  /** Carries changes out as `ipsecctl` would. @throws {SyscallError} */
  change(...changes: readonly KernelChange[]): void {
    for (const change of changes) {
      const planned: Planned = this.#dialect.encode(change, { nowSeconds: this.kernel.clock.wallSeconds() });
      if (!planned.ok) throw new TypeError(planned.reason);
      for (const request of planned.plan.requests) this.request(request);
    }
  }

  /** @returns the errno of the answer. @throws {SyscallError} */
  request({ type, satype, body }: Pick<Request, "type" | "satype" | "body">): number {
    const { platform } = this.kernel;
    const seq = ++this.#seq;
    this.#socket.send(encodeMessage({ type, satype, seq, pid: this.pid }, body, platform));
    let errno = -1;
    for (let received = this.#socket.receive(); received.kind === "data"; received = this.#socket.receive()) {
      const message = decodeMessage(received.bytes, platform);
      if (message.seq === seq && message.pid === this.pid) errno = message.errno;
    }
    return errno;
  }

  /** Makes an inbound SA as IKE does: an SPI first, then the rest. @throws {Error} when the kernel refuses. */
  negotiate(record: IpsecRecord): void {
    const { body, satype } = this.bodyOf(record);
    const { platform } = this.kernel;
    const extensions = readExtensions(body, platform);
    const sa = sadbSa.read(new Reader(extensions.get(1)!, "sa", platform.order));
    const range = new ExtensionWriter(platform).add(
      16,
      (writer) => sadbSpirange.write(writer, { min: sa.spi, max: sa.spi }),
    ).finish();
    const ends = Uint8Array.from([5, 6].flatMap((type) => [...extensions.get(type)!]).concat(...range));
    const errnos = [
      this.request({ type: OPENBSD_MESSAGES.SADB_GETSPI, satype, body: ends }),
      this.request({ type: OPENBSD_MESSAGES.SADB_UPDATE, satype, body }),
    ];
    if (errnos.some((errno) => errno !== 0)) throw new Error(`negotiation failed: errno ${errnos}`);
  }

  /** The request for an SA or a static flow. */
  bodyOf(record: IpsecRecord): Request {
    const planned = this.#dialect.encode({ kind: "put", record }, {
      nowSeconds: this.kernel.clock.wallSeconds(),
    });
    if (!planned.ok) throw new TypeError(planned.reason);
    return planned.plan.requests.at(-1)!;
  }
}

/** A back end on that kernel. */
export function backEndOn(kernel: FakeOpenbsdKernel): PfkeyKernel {
  return new PfkeyKernel({
    open: (receiveBufferBytes) => kernel.open(DAEMON_PID, receiveBufferBytes),
    sysctl: (name) => kernel.sysctl(name),
    clock: kernel.clock,
    pid: DAEMON_PID,
  }, openbsdDialect(kernel.platform.order));
}

/** What the kernel holds, told by a dump that does not fail. */
export function recordsIn(kernel: FakeOpenbsdKernel): IpsecRecord[] {
  const dialect = openbsdDialect(kernel.platform.order);
  const surroundings = { nowSeconds: kernel.clock.wallSeconds() };
  return [SADB_DUMP_NAME, SPD_DUMP_NAME].flatMap((name) =>
    splitMessages(kernel.dump(name), kernel.platform).flatMap((message) => {
      const meaning = dialect.decode(message, surroundings);
      return meaning.kind === "dumped" && meaning.reading?.kind === "record" ? [meaning.reading.record] : [];
    })
  );
}

/** One daemon on an OpenBSD machine of its own. */
export class OpenbsdDaemon extends DaemonWith<PfkeyKernel> {
  readonly iked: Iked;

  constructor(world: World, options: DaemonOptions, readonly openbsd: FakeOpenbsdKernel) {
    super(world, options, backEndOn(openbsd));
    this.iked = new Iked(openbsd);
    const socket = openbsd.sockets.find(({ fd }) => fd === this.kernel.fd)!;
    world.network.attach(socket.fd, () => socket.isReadable);
  }

  contents(): Record<string, string> {
    return contentsOf(recordsIn(this.openbsd));
  }
}

/** A machine in that world. */
export function openbsdIn(world: World, options: OpenbsdOptions = {}): FakeOpenbsdKernel {
  const clock: KernelClock = {
    bootMs: () => world.clock.bootMs(),
    wallSeconds: () => BOOTED_SECONDS + Math.floor(world.clock.bootMs() / 1000),
  };
  return new FakeOpenbsdKernel(clock, options);
}

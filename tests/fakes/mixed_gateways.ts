/** Daemons over kernels of different systems and byte orders, with another process on each to change the kernel. */

import { PfkeyKernel } from "../../src/daemon/pfkey_kernel.ts";
import { XfrmKernel } from "../../src/daemon/xfrm_kernel.ts";
import type { ByteOrder } from "../../src/layout/byte_order.ts";
import { freebsdDialect } from "../../src/pfkey/freebsd.ts";
import { linuxDialect } from "../../src/pfkey/linux.ts";
import type { Clock, KernelChange, KernelIpsec } from "../../src/ports.ts";
import type { IpsecRecord } from "../../src/record/record.ts";
import { FakeFreebsd } from "./freebsd_kernel.ts";
import { type DaemonOptions, DaemonWith } from "./gateways.ts";
import { FakeLinuxPfkey } from "./linux_pfkey.ts";
import { OpenbsdDaemon, openbsdIn, recordsIn } from "./openbsd_gateways.ts";
import type { World } from "./world.ts";
import { FakeXfrm } from "./xfrm_sockets.ts";

const DAEMON_PID = 4711;
const IKE_PID = 77;
/** CLOCK_REALTIME when CLOCK_BOOTTIME is 0. */
const BOOTED_SECONDS = 1_700_000_000;

/** A gateway of some system. */
export interface MixedGateway {
  readonly daemon: DaemonWith<KernelIpsec>;
  /** Another process changes the kernel. @throws {Error} when the kernel refuses. */
  change(...changes: readonly KernelChange[]): void;
  /** How many requests to change something the kernel has had from the daemon's machine. */
  changes(): number;
  /** What the kernel holds, as another process reads it. */
  records(): readonly IpsecRecord[];
}

/** Starts one. */
export type StartGateway = (world: World, options: DaemonOptions) => MixedGateway;

function clockOf(world: World): Pick<Clock, "bootMs" | "wallSeconds"> {
  return {
    bootMs: () => world.clock.bootMs(),
    wallSeconds: () => BOOTED_SECONDS + Math.floor(world.clock.bootMs() / 1000),
  };
}

function gatewayOf(
  daemon: DaemonWith<KernelIpsec>,
  other: KernelIpsec,
  changes: () => number,
): MixedGateway {
  return {
    daemon,
    changes,
    change(...changes) {
      const failed = other.apply(changes).find((result) => !result.ok);
      if (failed?.ok === false) throw new Error(failed.reason);
      daemon.poller.wake();
    },
    records() {
      other.beginDump();
      for (let part = 0; part < 100; part++) {
        const records = other.continueDump();
        if (records !== undefined) return records;
      }
      throw new Error("the dump has no end");
    },
  };
}

export function freebsdGateway(order: ByteOrder): StartGateway {
  return (world, options) => {
    const clock = clockOf(world);
    const freebsd = new FakeFreebsd(clock, order);
    const open = (pid: number) => new PfkeyKernel({ open: freebsd.open, clock, pid }, freebsdDialect(order));
    const kernel = open(DAEMON_PID);
    const [socket] = freebsd.sockets;
    world.network.attach(socket!.fd, () => socket!.queue.length > 0);
    return gatewayOf(new DaemonWith(world, options, kernel), open(IKE_PID), () => changesIn(freebsd));
  };
}

export const linuxGateway: StartGateway = (world, options) => {
  const xfrm = new FakeXfrm();
  const interfaces = { nameOf: () => undefined, indexOf: () => undefined };
  const open = () => new XfrmKernel({ open: xfrm.open, clock: clockOf(world), interfaces });
  const kernel = open();
  const socket = xfrm.sockets.find(({ fd }) => fd === kernel.fd);
  world.network.attach(kernel.fd, () => socket!.queue.length > 0);
  return gatewayOf(new DaemonWith(world, options, kernel), open(), () => xfrm.sends.length);
};

/** Linux as PF_KEY shows it, told that SHA2-256 has 96 bits and a window of 0 is none. */
export const linuxPfkeyGateway: StartGateway = (world, options) => {
  const { bootMs, wallSeconds } = clockOf(world);
  const linux = new FakeLinuxPfkey(wallSeconds());
  const clock = { bootMs, wallSeconds: () => linux.nowSeconds };
  const dialect = linuxDialect("little", { truncation: 96, noEsn: true });
  const open = (pid: number) => new PfkeyKernel({ open: linux.open, clock, pid }, dialect);
  const kernel = open(DAEMON_PID);
  const [socket] = linux.sockets;
  world.network.attach(socket!.fd, () => socket!.queue.length > 0);
  return gatewayOf(new DaemonWith(world, options, kernel), open(IKE_PID), () => changesIn(linux));
};

export function openbsdGateway(order: ByteOrder): StartGateway {
  return (world, options) => {
    const daemon = new OpenbsdDaemon(world, options, openbsdIn(world, { order }));
    return {
      daemon,
      change(...changes) {
        daemon.iked.change(...changes);
        daemon.poller.wake();
      },
      changes: () => changesIn(daemon.openbsd),
      records: () => recordsIn(daemon.openbsd),
    };
  };
}

/** UPDATE, ADD and DELETE of SAs, and everything about policies, dumps aside. */
function changesIn({ requests }: { readonly requests: readonly number[] }): number {
  return requests.filter((type) => type >= 2 && type <= 4 || type >= 12 && type <= 17).length;
}

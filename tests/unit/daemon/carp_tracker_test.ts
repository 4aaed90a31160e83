/** The role by a carp(4) interface, and its demotion, against emulated ioctls and routing messages of OpenBSD. */

import { assertEquals, assertThrows } from "@std/assert";
import { CarpTracker } from "../../../src/daemon/carp_tracker.ts";
import { GroupDemoter } from "../../../src/daemon/group_demoter.ts";
import { SyscallError } from "../../../src/errors.ts";
import { HOST_ORDER } from "../../../src/layout/byte_order.ts";
import { SIOCGIFDATA, SIOCSIFGATTR } from "../../../src/link/interface_requests.ts";
import type { InterfaceControl, KernelSocket, Received } from "../../../src/ports.ts";
import { decodeHex } from "../../fakes/hex.ts";
import { OPENBSD_DESYNC, OPENBSD_IFANNOUNCE, OPENBSD_IFINFO } from "../../vectors/link_vectors.ts";

const DOWN = 2;
const UP = 4;

/** An OpenBSD kernel as far as carp goes: interface `carp0`, group `carp`. */
class FakeOpenBsd implements InterfaceControl, KernelSocket {
  readonly fd = 4;
  readonly portId = 0;
  /** Number and link state of carp0; undefined: there is none. */
  carp0: { index: number; linkState: number } | undefined = { index: 7, linkState: DOWN };
  demotions = new Map([["carp", 0]]);
  reads = 0;
  queue: Received[] = [];

  ioctl(
    request: number,
    structure: Uint8Array,
    pointee?: { readonly offset: number; readonly bytes: Uint8Array },
  ): void {
    const name = new TextDecoder().decode(structure.subarray(0, 16)).replace(/\0.*$/s, "");
    if (request === SIOCGIFDATA) return this.#readData(structure, name, pointee);
    assertEquals([request, structure.length], [SIOCSIFGATTR, 40]);
    const delta = new Int32Array(structure.slice(24, 28).buffer)[0]!;
    const before = this.demotions.get(name);
    if (before === undefined) throw new SyscallError("ioctl SIOCSIFGATTR", "ENOENT", 2);
    if (before + delta < 0 || before + delta > 255) {
      throw new SyscallError("ioctl SIOCSIFGATTR", "EINVAL", 22);
    }
    this.demotions.set(name, before + delta);
  }

  #readData(
    structure: Uint8Array,
    name: string,
    pointee?: { readonly offset: number; readonly bytes: Uint8Array },
  ): void {
    this.reads++;
    assertEquals([structure.length, pointee?.offset], [32, 16]);
    if (name !== "carp0" || this.carp0 === undefined) throw new SyscallError("ioctl SIOCGIFDATA", "ENXIO", 6);
    pointee?.bytes.set([0xf7, 6, 0, this.carp0.linkState]);
  }

  tell(...messages: readonly string[]): void {
    this.queue.push({ kind: "data", bytes: decodeHex(messages.join("")) });
  }

  send(): void {
    throw new Error("nothing is sent on the routing socket");
  }

  receive(): Received {
    return this.queue.shift() ?? { kind: "empty" };
  }

  close(): void {}
}

function track(kernel: FakeOpenBsd): () => string {
  const indexOf = (name: string) => name === "carp0" ? kernel.carp0?.index : undefined;
  const tracker = new CarpTracker({ interface: "carp0", events: kernel, control: kernel, indexOf });
  return () => {
    const { role, reason } = tracker.look();
    return `${role}: ${reason}`;
  };
}

// the vectors are little-endian
Deno.test({
  name: "CarpTracker follows the link state",
  ignore: HOST_ORDER !== "little",
  fn() {
    const kernel = new FakeOpenBsd();
    const look = track(kernel);
    assertEquals(look(), "SLAVE: the link state of carp0 is LINK_STATE_DOWN");
    kernel.carp0!.linkState = UP;
    assertEquals(look(), "SLAVE: the link state of carp0 is LINK_STATE_DOWN", "before the message");
    kernel.tell(OPENBSD_IFINFO.replace("0700", "0800"));
    assertEquals(look(), "SLAVE: the link state of carp0 is LINK_STATE_DOWN", "another interface");
    kernel.tell(OPENBSD_IFINFO);
    assertEquals(look(), "MASTER: the link state of carp0 is LINK_STATE_UP");
    kernel.carp0!.linkState = 1;
    kernel.tell(OPENBSD_IFINFO);
    assertEquals(look(), "FAIL: the link state of carp0 is LINK_STATE_INVALID");
  },
});

Deno.test("CarpTracker sees the true state, whatever the messages say and however many they are", () => {
  const kernel = new FakeOpenBsd();
  const look = track(kernel);
  look();
  const { reads } = kernel;
  for (let i = 0; i < 100; i++) kernel.tell(OPENBSD_IFINFO); // each says UP
  assertEquals(look(), "SLAVE: the link state of carp0 is LINK_STATE_DOWN");
  assertEquals(kernel.reads, reads + 1);
});

Deno.test("CarpTracker is FAIL without the interface, and finds it again under another number", () => {
  const kernel = new FakeOpenBsd();
  const look = track(kernel);
  look();
  kernel.carp0 = undefined;
  kernel.tell(OPENBSD_IFANNOUNCE.replace("0900", "0700"));
  assertEquals(look(), "FAIL: there is no interface carp0");
  kernel.carp0 = { index: 9, linkState: UP };
  kernel.tell(OPENBSD_IFANNOUNCE);
  assertEquals(look(), "MASTER: the link state of carp0 is LINK_STATE_UP");
});

for (const [name, event] of [["RTM_DESYNC", OPENBSD_DESYNC], ["ENOBUFS", undefined]] as const) {
  Deno.test(`CarpTracker reads again after ${name}`, () => {
    const kernel = new FakeOpenBsd();
    const look = track(kernel);
    look();
    kernel.carp0!.linkState = UP;
    if (event === undefined) kernel.queue.push({ kind: "overrun" });
    else kernel.tell(event);
    assertEquals(look(), "MASTER: the link state of carp0 is LINK_STATE_UP");
  });
}

Deno.test("GroupDemoter counts once, and takes back no more than it has counted", () => {
  const kernel = new FakeOpenBsd();
  kernel.demotions.set("carp", 128); // as rc(8) does while the system starts
  const demoter = new GroupDemoter("carp", kernel);
  const after = (act: () => void) => {
    act();
    return kernel.demotions.get("carp");
  };
  assertEquals(after(() => demoter.set(false)), 128);
  assertEquals(after(() => demoter.set(true)), 129);
  assertEquals(after(() => demoter.set(true)), 129);
  assertEquals(after(() => demoter.leave()), 128);
  assertEquals(after(() => demoter.leave()), 128);
});

Deno.test("GroupDemoter says what the kernel refuses, and tries it again", () => {
  const kernel = new FakeOpenBsd();
  const demoter = new GroupDemoter("carp", kernel);
  kernel.demotions.delete("carp");
  assertThrows(() => demoter.set(true), SyscallError, "ENOENT");
  kernel.demotions.set("carp", 0);
  demoter.set(true);
  assertEquals(kernel.demotions.get("carp"), 1);
});

/** Netlink sockets against the real kernel, in a network namespace of their own. */

import { assert, assertEquals, assertThrows } from "@std/assert";
import { LINUX } from "../../../ffi/constants.ts";
import { FfiKernelSocket, setBufferSizes } from "../../../ffi/kernel_socket.ts";
import { netlinkPortId, openNetlink } from "../../../ffi/netlink.ts";
import { openSocket, socketName } from "../../../ffi/socket.ts";
import { SyscallError } from "../../../src/errors.ts";
import { Writer } from "../../../src/layout/mod.ts";
import type { KernelSocket, Received } from "../../../src/ports.ts";
import { canUseNetns, libc, must, waitReady, withFreshNetns } from "./support.ts";

const NETLINK_ROUTE = 0;
const NETLINK_USERSOCK = 2;
const NETLINK_XFRM = 6;
const XFRMNLGRP_POLICY = 4;
const XFRM_MSG_NEWPOLICY = 0x13;
const XFRM_MSG_FLUSHPOLICY = 0x1d;

/** Policies, for these need none of the kernel's ciphers. */
function addPolicies(count: number): void {
  const lines = Array.from(
    { length: count },
    (_, i) => `xfrm policy add src 192.0.2.${i}/32 dst 198.51.100.1/32 dir out action block`,
  );
  const file = Deno.makeTempFileSync();
  Deno.writeTextFileSync(file, lines.join("\n"));
  must("ip", "-batch", file);
  Deno.removeSync(file);
}

function messageType(received: Received): number | undefined {
  return received.kind === "data" ? received.bytes[4]! | (received.bytes[5]! << 8) : undefined;
}

/** Everything that waits, as kinds. */
function drain(socket: KernelSocket): string[] {
  const kinds: string[] = [];
  for (let next = socket.receive(); next.kind !== "empty"; next = socket.receive()) kinds.push(next.kind);
  return kinds;
}

/** A netlink socket of another process, as far as the receiver can tell, connected to `portId`. */
function connectUserSocket(portId: number) {
  const fd = openSocket(libc, LINUX.AF_NETLINK, libc.constants.SOCK_RAW, NETLINK_USERSOCK);
  setBufferSizes(libc, fd, { sendBufferBytes: 1 << 20 });
  const name = new Uint32Array([0, portId, 0]);
  new Uint16Array(name.buffer)[0] = LINUX.AF_NETLINK;
  libc.check(libc.c.connect(fd.use(), name, 12), "connect a netlink socket");
  return new FfiKernelSocket(libc, fd, { portId: 0, isFromKernel: () => true });
}

Deno.test({
  name: "openNetlink() hears XFRM events of its groups, message by message",
  ignore: !canUseNetns,
  fn: () =>
    withFreshNetns(async () => {
      const socket = openNetlink(libc, { protocol: NETLINK_XFRM, groups: [XFRMNLGRP_POLICY] });
      assert(socket.portId !== 0);
      assertEquals(socket.receive(), { kind: "empty" });
      addPolicies(2);
      await waitReady({ fd: socket.fd, read: true, write: false });
      assertEquals(messageType(socket.receive()), XFRM_MSG_NEWPOLICY);
      assertEquals(messageType(socket.receive()), XFRM_MSG_NEWPOLICY);
      assertEquals(socket.receive(), { kind: "empty" });
      socket.close();
      assertThrows(() => socket.receive(), SyscallError, "EBADF");
      assertThrows(() => socket.close(), SyscallError, "EBADF");
    }),
});

Deno.test({
  name: "receive() reports an overrun once, and goes on with what came after it",
  ignore: !canUseNetns,
  fn: () =>
    withFreshNetns(async () => {
      const groups = [XFRMNLGRP_POLICY];
      const socket = openNetlink(libc, { protocol: NETLINK_XFRM, groups, receiveBufferBytes: 2048 });
      addPolicies(100);
      const [ready] = await waitReady({ fd: socket.fd, read: true, write: false });
      assert(ready?.read);
      const kinds = drain(socket);
      assertEquals(kinds.filter((kind) => kind === "overrun").length, 1);
      assert(kinds.includes("data"));
      must("ip", "xfrm", "policy", "flush");
      addPolicies(1);
      assert(drain(socket).includes("data"));
      socket.close();
    }),
});

Deno.test({
  name: "openNetlink() hears nothing of what an ignored port id has caused",
  ignore: !canUseNetns,
  fn: () =>
    withFreshNetns(() => {
      const open = (groups: number[], ignoredPortId?: number) =>
        openNetlink(libc, { protocol: NETLINK_XFRM, groups, ignoredPortId });
      const [ignored, other] = [open([]), open([])];
      const listener = open([XFRMNLGRP_POLICY], ignored.portId);
      const heard = [ignored, other].map((socket) => {
        addPolicies(1);
        // NLM_F_REQUEST, no attributes: all policies of the main type
        socket.send(new Writer().u32(16).u16(XFRM_MSG_FLUSHPOLICY).u16(1).u32(1).u32(socket.portId).finish());
        return [messageType(listener.receive()), messageType(listener.receive())];
      });
      assertEquals(heard, [[XFRM_MSG_NEWPOLICY, undefined], [XFRM_MSG_NEWPOLICY, XFRM_MSG_FLUSHPOLICY]]);
      for (const socket of [ignored, other, listener]) socket.close();
      return Promise.resolve();
    }),
});

Deno.test("send() and receive() dump the links", async () => {
  const socket = openNetlink(libc, { protocol: NETLINK_ROUTE, groups: [], receiveBufferBytes: 1 << 20 });
  // RTM_GETLINK, NLM_F_REQUEST | NLM_F_DUMP, struct ifinfomsg of zeros
  socket.send(new Writer().u32(32).u16(18).u16(0x301).u32(1).u32(0).zeros(16).finish());
  await waitReady({ fd: socket.fd, read: true, write: false });
  assertEquals(messageType(socket.receive()), 16 /* RTM_NEWLINK */);
  socket.close();
});

Deno.test("send() of more than the send buffer throws EMSGSIZE", () => {
  const socket = openNetlink(libc, { protocol: NETLINK_ROUTE, groups: [], sendBufferBytes: 4096 });
  assertThrows(() => socket.send(new Uint8Array(60_000)), SyscallError, "EMSGSIZE");
  socket.close();
});

Deno.test("receive() drops what another process sends", () => {
  const socket = openNetlink(libc, { protocol: NETLINK_USERSOCK, groups: [] });
  const stranger = connectUserSocket(socket.portId);
  for (let i = 0; i < 3; i++) stranger.send(new Uint8Array(16));
  assertEquals(socket.receive(), { kind: "empty" });
  socket.close();
  stranger.close();
});

Deno.test("receive() never gives a part of a message that is larger than its buffer", () => {
  const fd = openSocket(libc, LINUX.AF_NETLINK, libc.constants.SOCK_RAW, NETLINK_USERSOCK);
  libc.check(libc.c.bind(fd.use(), new Uint32Array([LINUX.AF_NETLINK, 0, 0]), 12), "bind");
  const portId = netlinkPortId(socketName(libc, fd));
  setBufferSizes(libc, fd, { receiveBufferBytes: 1 << 20 });
  const socket = new FfiKernelSocket(libc, fd, { portId, isFromKernel: () => true });
  const sender = connectUserSocket(portId);
  const large = crypto.getRandomValues(new Uint8Array(65_000));
  const message = new Uint8Array([...large, ...large, 7]);
  sender.send(message);
  sender.send(message);
  sender.send(new Uint8Array([1, 2]));
  assertEquals(socket.receive(), { kind: "overrun" });
  assertEquals(socket.receive(), { kind: "data", bytes: message });
  assertEquals(socket.receive(), { kind: "data", bytes: new Uint8Array([1, 2]) });
  socket.close();
  sender.close();
});

Deno.test("openNetlink() names what the kernel has not", () => {
  assertThrows(() => openNetlink(libc, { protocol: 31, groups: [] }), SyscallError, "EPROTONOSUPPORT");
  const options = { protocol: NETLINK_ROUTE, groups: [100_000] };
  assertThrows(() => openNetlink(libc, options), SyscallError, "NETLINK_ADD_MEMBERSHIP 100000: EINVAL");
});

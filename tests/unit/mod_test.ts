import { assertEquals, assertThrows } from "@std/assert";

// The sanitizers of Deno.test see what an import inside of a test leaves open: timers, files, sockets.
Deno.test("mod.ts is imported without permissions, changes no global and leaves nothing open", async () => {
  const globals = Object.getOwnPropertyNames(globalThis);
  const library = await import("../../mod.ts");
  assertEquals(Object.getOwnPropertyNames(globalThis), globals);
  assertEquals(typeof library.decodeSa, "function");
  for (const name of ["read", "write", "net", "env", "run", "ffi", "sys"] as const) {
    assertEquals(Deno.permissions.querySync({ name }).state, "prompt", `${name} must not be granted here`);
  }
});

Deno.test("the README's example does what it says", async () => {
  const { derivePsk, NativeSession, PeerError, REVISION } = await import("../../mod.ts");
  // README: begin
  const random = { bytes: (length: number) => crypto.getRandomValues(new Uint8Array(length)) };
  const options = { psk: derivePsk({ stretch: false, bytes: random.bytes(32) }), random, nowMs: 0 };
  const dialler = new NativeSession({ ...options, initiator: true });
  const listener = new NativeSession({ ...options, initiator: false });
  for (const frame of dialler.takeOutput()) listener.push(frame, 0);
  for (const frame of listener.takeOutput()) dialler.push(frame, 0);
  const who = { revision: REVISION, nodeId: random.bytes(16), os: "linux", addresses: [] };
  const hello = { type: "hello", ...who, capabilities: 0, settingsDigest: new Uint8Array(16) } as const;
  const [message] = listener.push(dialler.seal([hello], 0), 0);
  console.log(message?.type, listener.phase); // hello open
  // README: end
  assertEquals(message, hello);
  assertEquals(listener.phase, "open");
  const stranger = new NativeSession({ ...options, psk: random.bytes(32), initiator: false });
  const other = new NativeSession({ ...options, initiator: true });
  assertThrows(() => stranger.push(other.takeOutput()[0]!, 0), PeerError);
});

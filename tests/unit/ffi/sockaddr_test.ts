import { assertEquals, assertThrows } from "@std/assert";
import {
  decodeSockaddr,
  encodeAbstractSockaddr,
  encodeSockaddr,
  encodeUnixSockaddr,
  sockaddrFamily,
  sockaddrLength,
} from "../../../ffi/sockaddr.ts";
import type { System } from "../../../ffi/system.ts";
import { DecodeError } from "../../../src/errors.ts";
import { parseAddress } from "../../../src/record/address.ts";

const IN6_REST = [
  ...[0x01, 0xf4], // sin6_port 500
  ...[0, 0, 0, 0], // sin6_flowinfo
  ...[0x20, 0x01, 0x0d, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1], // sin6_addr
  ...[0, 0, 0, 0], // sin6_scope_id
];
const IN_REST = [0x01, 0xf4, 192, 0, 2, 1, 0, 0, 0, 0, 0, 0, 0, 0]; // sin_port 500, sin_addr, sin_zero

/** Little-endian, as all machines that we run on. */
const ROWS: readonly [System, string, number[]][] = [
  ["linux", "192.0.2.1", [2, 0, ...IN_REST]],
  ["linux", "2001:db8::1", [10, 0, ...IN6_REST]],
  ["openbsd", "192.0.2.1", [16, 2, ...IN_REST]],
  ["openbsd", "2001:db8::1", [28, 24, ...IN6_REST]],
  ["freebsd", "2001:db8::1", [28, 28, ...IN6_REST]],
];

for (const [system, text, bytes] of ROWS) {
  Deno.test(`encodeSockaddr() and decodeSockaddr() of ${text} on ${system}`, () => {
    const at = { address: parseAddress(text)!, port: 500 };
    assertEquals([...encodeSockaddr(system, at)], bytes);
    assertEquals(decodeSockaddr(system, Uint8Array.from(bytes)), at);
    assertEquals(sockaddrLength(system, sockaddrFamily(system, Uint8Array.from(bytes))), bytes.length);
  });

  Deno.test(`decodeSockaddr() refuses every cut of ${text} on ${system}`, () => {
    bytes.forEach((_, length) =>
      assertThrows(() => decodeSockaddr(system, Uint8Array.from(bytes.slice(0, length))), DecodeError)
    );
  });
}

Deno.test("decodeSockaddr() has nothing to say of other families", () => {
  assertEquals(decodeSockaddr("linux", new Uint8Array(16)), undefined);
  assertEquals(sockaddrLength("linux", 17), undefined);
});

Deno.test("encodeAbstractSockaddr() begins with NUL, ends with the name, and refuses what does not fit", () => {
  assertEquals([...encodeAbstractSockaddr("ab")], [1, 0, 0, 0x61, 0x62]);
  assertEquals(encodeAbstractSockaddr("x".repeat(100)).length, 103);
  assertThrows(() => encodeAbstractSockaddr("x".repeat(108)), RangeError, "too long");
});

Deno.test("encodeUnixSockaddr() ends in NUL and refuses what does not fit", () => {
  assertEquals([...encodeUnixSockaddr("linux", "/a")], [1, 0, 0x2f, 0x61, 0]);
  assertEquals([...encodeUnixSockaddr("freebsd", "/a")], [5, 1, 0x2f, 0x61, 0]);
  assertThrows(() => encodeUnixSockaddr("linux", "x".repeat(104)), RangeError);
});

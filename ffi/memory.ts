/**
 * Memory that belongs to the C library, by address. `Deno.UnsafePointer` would do the same, but needs unscoped
 * --allow-ffi; memcpy does not. Used by the few calls that hand out pointers.
 */

import type { Libc } from "./libc.ts";

/** The address of a buffer of ours, to tell where in it a pointer points. It may move when the buffer is dropped. */
export function addressOf(libc: Libc, buffer: Uint8Array<ArrayBuffer>): bigint {
  return libc.c.addressOf(buffer, buffer, 0n);
}

/**
 * Bytes as the runtime wants them for a call into C: memory that no other thread shares. Nothing in this program
 * makes shared memory, so this is for the type checker only.
 */
export function unshared(bytes: Uint8Array): Uint8Array<ArrayBuffer> {
  return bytes as Uint8Array<ArrayBuffer>; // see above: there is no SharedArrayBuffer
}

/** A copy of `length` bytes at `address`. The caller answers for both: a wrong one ends the process. */
export function copyMemory(libc: Libc, address: bigint, length: number): Uint8Array<ArrayBuffer> {
  const copy = new Uint8Array(length);
  if (length > 0) libc.c.copyFrom(copy, address, BigInt(length));
  return copy;
}

/** The NUL-terminated text at `address`. */
export function readCString(libc: Libc, address: bigint): string {
  return new TextDecoder().decode(copyMemory(libc, address, Number(libc.c.strlen(address))));
}

/** Text as C takes it. @throws {RangeError} when it has a NUL within, at which C would cut it. */
export function cString(text: string): Uint8Array<ArrayBuffer> {
  if (text.includes("\0")) {
    throw new RangeError(`Cannot pass ${JSON.stringify(text)} to C: it has a NUL within`);
  }
  return new TextEncoder().encode(text + "\0");
}

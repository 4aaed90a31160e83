/** Replaces the running program by itself, with other arguments: execve(2). Started by src/process/start.ts. */

import type { Fd } from "../src/ports.ts";
import { ownFd } from "./fd.ts";
import type { Libc } from "./libc.ts";
import { addressOf, cString } from "./memory.ts";
import { setInheritable } from "./process.ts";

/** The kernel's own way to the program, whatever has become of the file's name. Linux. */
const SELF = "/proc/self/exe";

const POINTER_BYTES = 8;
/** What is as large as this never moves in memory. */
const STEADY_BYTES = 256;
/**
 * Begins this program anew, in the same process, with one thread, which has the rights of the calling one. Of
 * the descriptors that are closed on execve(2), `keep` stay open.
 *
 * @throws {SyscallError} when this thread may not read or execute the program.
 */
export function executeSelf(libc: Libc, args: readonly string[], keep: readonly Fd[]): never {
  const path = Deno.execPath();
  const { O_CLOEXEC, O_RDONLY } = libc.constants;
  // the runtime reads the program's file by its name, and would only say that it cannot
  ownFd(libc, libc.c.open(cString(path), O_RDONLY | O_CLOEXEC), `open "${path}" as its user`).close();
  for (const fd of keep) setInheritable(libc, fd, true);
  const memory = argumentMemory(libc, [path, ...args]);
  libc.check(libc.c.execv(cString(SELF), memory), `execute "${path}"`);
  throw libc.errorNamed(`execute "${path}"`, "ENOEXEC"); // not reached: execve(2) returns only to fail
}

/** `char *arguments[]`, and behind it the texts that it points to. */
function argumentMemory(libc: Libc, args: readonly string[]): Uint8Array<ArrayBuffer> {
  const texts = args.map(cString);
  const tableBytes = (texts.length + 1) * POINTER_BYTES; // the last one is NULL
  const memory = new Uint8Array(
    STEADY_BYTES + tableBytes + texts.reduce((sum, { length }) => sum + length, 0),
  );
  const table = new BigUint64Array(memory.buffer, 0, texts.length);
  const base = addressOf(libc, memory);
  let offset = tableBytes;
  texts.forEach((text, i) => {
    memory.set(text, offset);
    table[i] = base + BigInt(offset);
    offset += text.length;
  });
  return memory;
}

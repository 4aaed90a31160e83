/** What the tests of ffi/ on the real host share: one C library, network namespaces, waiting on sockets. */

import { openLibc } from "../../../ffi/libc.ts";
import { FfiPoller } from "../../../ffi/poll.ts";
import type { Interest, Readiness } from "../../../src/ports.ts";

export const libc = openLibc();

/** Whether this host lets us make a network namespace (root, with ip(8)). In CI it must, else the tests fail. */
export const canUseNetns = Deno.env.get("CI") === "true" ||
  Deno.uid() === 0 && run("ip", "-V") && run("unshare", "-n", "true");

const CLONE_NEWNET = 0x40000000;

/** Runs `body` on this thread in a network namespace of its own, with loopback up. */
export async function withFreshNetns<T>(body: () => Promise<T>): Promise<T> {
  const library = Deno.dlopen("libc.so.6", {
    unshare: { parameters: ["i32"], result: "i32" }, // int unshare(int flags);
    setns: { parameters: ["i32", "i32"], result: "i32" }, // int setns(int fd, int type);
  });
  const home = libc.c.open(new TextEncoder().encode("/proc/thread-self/ns/net\0"), libc.constants.O_CLOEXEC);
  libc.check(library.symbols.unshare(CLONE_NEWNET), "make a network namespace");
  try {
    must("ip", "link", "set", "lo", "up");
    return await body();
  } finally {
    libc.check(library.symbols.setns(home, CLONE_NEWNET), "return to the first network namespace");
    libc.c.close(home);
    library.close();
  }
}

/** Waits until one of the interests is ready, at most 5 s. */
export async function waitReady(...interests: Interest[]): Promise<readonly Readiness[]> {
  const poller = new FfiPoller(libc);
  try {
    const found = await poller.wait(interests, 5000);
    if (found.length === 0) throw new Error("nothing became ready in 5 s");
    return found;
  } finally {
    poller.close();
  }
}

/** Runs a command. @throws when it fails. */
export function must(command: string, ...args: string[]): void {
  const { success, stderr } = new Deno.Command(command, { args }).outputSync();
  if (!success) throw new Error(`${command} ${args.join(" ")}: ${new TextDecoder().decode(stderr)}`);
}

function run(command: string, ...args: string[]): boolean {
  try {
    return new Deno.Command(command, { args, stdout: "null", stderr: "null" }).outputSync().success;
  } catch {
    return false; // not installed
  }
}

/**
 * Which operating system and processor this program runs on, as far as ffi/ knows them. Everything else in this
 * folder picks its numbers, layouts and paths by these two names.
 */

/** Operating systems that have a column in the tables. Only linux has been run. */
export type System = "linux" | "openbsd" | "freebsd";

/** Processors whose layouts are known; both are little-endian and LP64. */
export type Arch = "x86_64" | "aarch64";

/** The machine that the program runs on. */
export interface OsArch {
  readonly system: System;
  readonly arch: Arch;
}

/**
 * The machine that the program runs on. Needs no permission.
 *
 * @throws {RangeError} when ffi/ has no tables for it.
 */
export function osArch(): OsArch {
  const system: string = Deno.build.os;
  if (system !== "linux" && system !== "openbsd" && system !== "freebsd") {
    throw new RangeError(`Cannot run on ${system}: no system call tables for it`);
  }
  return { system, arch: Deno.build.arch };
}

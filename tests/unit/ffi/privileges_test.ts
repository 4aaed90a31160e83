/** In which order rights are given up, with C libraries that write down what they are told. */

import { assertEquals, assertThrows } from "@std/assert";
import { confine } from "../../../ffi/confine.ts";
import { dropPrivileges } from "../../../ffi/privileges.ts";
import { SyscallError } from "../../../src/errors.ts";
import { fakeLibc } from "../../fakes/libc.ts";

const ACCOUNT = { uid: 900, gid: 901, directory: "/var/empty" };

/** As C sees it; none for NULL. */
function text(bytes: unknown): string {
  return bytes === null ? "NULL" : new TextDecoder().decode(bytes as Uint8Array).replace(/\0$/, "");
}

/** A library that does all it is told but `failing`, and what it was told. */
function recorder(system: "linux" | "openbsd", failing?: string) {
  const calls: string[] = [];
  const libc = fakeLibc((errno) => {
    const told = (name: string, ...args: readonly unknown[]) => {
      calls.push([name, ...args].join(" "));
      return name === failing ? errno.fail("EPERM") : 0;
    };
    return {
      chroot: (path) => told("chroot", text(path)),
      chdir: (path) => told("chdir", text(path)),
      unveil: (path, permissions) => told("unveil", text(path), text(permissions)),
      pledge: (promises, others) => told("pledge", text(promises), text(others)),
      setgroups: (n, list) => told("setgroups", n, ...list as Uint32Array),
      setresgid: (...ids) => told("setresgid", ...ids),
      setresuid: (...ids) => told("setresuid", ...ids),
      capset: (header, data) =>
        told("capset", (header as Uint32Array)[0]!.toString(16), ...data as Uint32Array),
      prctl(option, first, second) {
        if (option === 23) return first < 41n ? 1 : errno.fail("EINVAL"); // capabilities 0 to 40 are there
        return told("prctl", option, first, second);
      },
    };
  }, system);
  return { libc, calls };
}

Deno.test("confine() shuts in, becomes the user, hides files and pledges, in this order", () => {
  const { libc, calls } = recorder("openbsd");
  confine(libc, ACCOUNT, "stdio inet");
  assertEquals(calls, [
    "chroot /var/empty",
    "chdir /",
    "setgroups 1 901",
    "setresgid 901 901 901",
    "setresuid 900 900 900",
    "unveil / ",
    "unveil NULL NULL",
    "pledge stdio inet NULL",
  ]);
});

for (const call of ["chroot", "chdir", "setgroups", "setresgid", "setresuid", "unveil", "pledge"]) {
  Deno.test(`confine() goes no further when ${call} fails`, () => {
    const { libc, calls } = recorder("openbsd", call);
    assertThrows(() => confine(libc, ACCOUNT, "stdio"), SyscallError, "EPERM");
    assertEquals(calls.at(-1)?.split(" ")[0], call);
  });
}

Deno.test("dropPrivileges() empties the bounding set but for what is kept, then changes user, then locks", () => {
  const { libc, calls } = recorder("linux");
  dropPrivileges(libc, ACCOUNT, [12, 10]);
  const bounding = calls.filter((call) => call.startsWith("prctl 24 "));
  assertEquals(
    bounding,
    Array.from({ length: 41 }, (_, one) => `prctl 24 ${one} 0`).filter((_, one) => one !== 10 && one !== 12),
  );
  assertEquals(calls.filter((call) => !bounding.includes(call)), [
    "prctl 8 1 0", // PR_SET_KEEPCAPS
    "setgroups 0",
    "setresgid 901 901 901",
    "setresuid 900 900 900",
    "capset 20080522 5120 5120 5120 0 0 0",
    "prctl 47 2 12", // PR_CAP_AMBIENT_RAISE
    "prctl 47 2 10",
    "prctl 38 1 0", // PR_SET_NO_NEW_PRIVS
  ]);
});

for (const call of ["prctl", "setgroups", "setresgid", "setresuid", "capset"]) {
  Deno.test(`dropPrivileges() goes no further when ${call} fails`, () => {
    const { libc, calls } = recorder("linux", call);
    assertThrows(() => dropPrivileges(libc, ACCOUNT, [12]), SyscallError, "EPERM");
    assertEquals(calls.at(-1)?.split(" ")[0], call);
  });
}

import { assertEquals } from "@std/assert";
import { constantsOf } from "../../../ffi/constants.ts";
import { libcPaths } from "../../../ffi/libc.ts";
import { osArch } from "../../../ffi/system.ts";

Deno.test("constantsOf() picks the column of the system", () => {
  const inet6 = (["linux", "openbsd", "freebsd"] as const).map((system) => constantsOf(system).AF_INET6);
  assertEquals(inet6, [10, 24, 28]);
});

Deno.test("osArch() knows the machine that runs the tests", () => {
  assertEquals(osArch().system, Deno.build.os);
});

Deno.test("libcPaths() are absolute, as scoped permission wants them", () => {
  for (const arch of ["x86_64", "aarch64"] as const) {
    const paths = libcPaths({ system: "linux", arch });
    assertEquals(paths[0], `/lib/${arch}-linux-gnu/libc.so.6`);
    assertEquals(paths.filter((path) => !path.startsWith("/")), []);
  }
});

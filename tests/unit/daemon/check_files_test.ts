import { assertEquals } from "@std/assert";
import { checkFiles } from "../../../src/daemon/check_files.ts";
import { SyscallError } from "../../../src/errors.ts";

Deno.test("checkFiles() says of each file once what it is, and never what is in it", () => {
  const lines = checkFiles(["/abc", "/none", "/folder", "/abc"], (path) => {
    if (path === "/none") throw new SyscallError(`open "${path}"`, "ENOENT", 2);
    return { bytes: new TextEncoder().encode(path === "/abc" ? "abc" : ""), isRegular: path === "/abc" };
  });
  assertEquals(lines, [
    "file /abc: sha256 ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad",
    "file /none: ENOENT",
    "file /folder: no file",
  ]);
});

import { assertEquals } from "@std/assert";
import { SyslogSocket } from "../../../ffi/syslog.ts";
import { fakeLibc } from "../../fakes/libc.ts";

Deno.test("SyslogSocket drops a message when there is no descriptor for it", () => {
  const libc = fakeLibc((errno) => ({ socket: () => errno.fail("EMFILE") }));
  assertEquals(new SyslogSocket(libc).send(new Uint8Array([60])), false);
});

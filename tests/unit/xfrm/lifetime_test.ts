import { assertEquals } from "@std/assert";
import { limitsFromKernel, limitsToKernel } from "../../../src/xfrm/lifetime.ts";

Deno.test("limitsFromKernel() knows the kernel's words for none, and limitsToKernel() says them", () => {
  const none = limitsToKernel({}, {});
  assertEquals(limitsFromKernel(none), { soft: {}, hard: {} });
  assertEquals([none.softByte, none.hardAdd], [0xffff_ffff_ffff_ffffn, 0n]);
  const soft = { bytes: 0n, packets: 1n, addSeconds: 2n, useSeconds: 3n };
  const hard = { bytes: 4n, packets: 5n, addSeconds: 6n, useSeconds: 0xffff_ffff_ffff_ffffn };
  assertEquals(limitsFromKernel(limitsToKernel(soft, hard)), { soft, hard });
});

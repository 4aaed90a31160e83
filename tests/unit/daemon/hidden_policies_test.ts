import { assertEquals } from "@std/assert";
import { HiddenPolicies } from "../../../src/daemon/hidden_policies.ts";
import { type PolicyIdentity, policyKey } from "../../../src/record/policy.ts";
import { samplePolicy, sampleSelector } from "../../fakes/records.ts";

function id(dstPort: number): PolicyIdentity {
  return samplePolicy({ selector: sampleSelector({ dstPort, dstPortMask: 0xffff }) });
}

Deno.test("HiddenPolicies tries again what was missed, once for each time that another one has gone", () => {
  const hidden = new HiddenPolicies();
  hidden.missed(id(1));
  hidden.missed(id(2));
  assertEquals(hidden.takeTries(), []);
  hidden.deleted(id(3));
  assertEquals(hidden.takeTries(), [id(1), id(2)]);
  assertEquals(hidden.takeTries(), []);
  hidden.deleted(id(1));
  assertEquals(hidden.takeTries(), [id(2)]);
});

Deno.test("HiddenPolicies forgets what is wanted again, and what a dump does not show", () => {
  const hidden = new HiddenPolicies();
  for (const port of [1, 2, 3]) hidden.missed(id(port));
  hidden.wanted(id(1));
  hidden.dumped(new Set([policyKey(id(1)), policyKey(id(2))]));
  hidden.deleted(id(9));
  assertEquals(hidden.takeTries(), [id(2)]);
});

Deno.test("HiddenPolicies keeps no more than a thousand", () => {
  const hidden = new HiddenPolicies();
  for (let port = 0; port < 1500; port++) hidden.missed(id(port));
  hidden.deleted(id(2000));
  assertEquals(hidden.takeTries().map(({ selector }) => selector.dstPort).slice(0, 2), [500, 501]);
});

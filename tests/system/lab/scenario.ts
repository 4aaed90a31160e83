/**
 * Tests that run in the guest. A scenario is a test file that declares its tests with `test` from here: `deno test`
 * on this machine boots a guest that runs the same file again, where the bodies are executed; back here each test
 * says how it went there. The output of a guest is shown when something failed, or always with GUEST_SHOW=1.
 */

import { type GuestSettings, INSIDE_GUEST, runInGuest, USUAL_GUEST, whatIsMissing } from "./host.ts";
import { step } from "./step.ts";

const settings: GuestSettings = { ...USUAL_GUEST };

/** Asks for another guest than the usual one (USUAL_GUEST). Call it before the first test. */
export function guest(changes: Partial<GuestSettings>): void {
  Object.assign(settings, changes);
}

/** Declares a test of the scenario. Tests run one after the other, in one guest. */
export function test(name: string, body: () => void | Promise<void>): void {
  if (INSIDE_GUEST) declareInside(name, body);
  else declareOutside(name);
}

/** Processes and nodes outlive the test that made them, so nothing is said about what is left over. */
function declareInside(name: string, body: () => void | Promise<void>): void {
  const fn = async () => {
    step(`test: ${name}`);
    await body();
    step(`passed: ${name}`);
  };
  Deno.test({ name, fn, sanitizeOps: false, sanitizeResources: false, sanitizeExit: false });
}

/** How the guest's run went. */
interface Run {
  readonly passed: readonly string[];
  readonly code: number;
}

let declared = 0;
let run: Promise<Run> | undefined;
/** Why the tests cannot run here; empty when they can. In CI that is a failure, elsewhere they are left out. */
let missing: string | undefined;

function declareOutside(name: string): void {
  declared++;
  if (missing === undefined) {
    missing = whatIsMissing(settings);
    if (missing !== "") console.log(`these system tests cannot run here: ${missing}`);
  }
  const fn = async () => {
    if (missing !== "") throw new Error(`cannot run here: ${missing}`);
    run ??= runScenario();
    const { passed, code } = await run;
    if (!passed.includes(name)) {
      throw new Error(`failed in the guest (exit status ${code}), whose output is above`);
    }
    if (code !== 0 && passed.length === declared) {
      throw new Error(`all passed, but the guest ended with ${code}`);
    }
  };
  Deno.test({ name, ignore: missing !== "" && Deno.env.get("CI") !== "true", fn });
}

/** Runs this very file in a guest. */
async function runScenario(): Promise<Run> {
  const show = Deno.env.get("GUEST_SHOW") === "1";
  let output = "";
  const file = new URL(Deno.mainModule).pathname;
  const code = await runInGuest(["test", "--no-check", "--cached-only", "-A", file], settings, (text) => {
    output += text;
    if (show) Deno.stdout.writeSync(new TextEncoder().encode(text));
  });
  if (code !== 0 && !show) console.log(output.replace(/^/gm, "  | "));
  return { code, passed: [...output.matchAll(/^\[ *[\d.]+\] passed: (.*)$/gm)].map(([, name = ""]) => name) };
}

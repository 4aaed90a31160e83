/**
 * Tests that run in the guest. A scenario is a test file that declares its tests with `test` from here: `deno test`
 * on this machine boots a guest that runs the same file again, where the bodies are executed; back here each test
 * says how it went there. The output of a guest is shown when something failed, or always with GUEST_SHOW=1.
 */

import { step } from "./step.ts";

/** In the guest: the folder that it shares with the machine it runs on. */
const shared = Deno.env.get("GUEST_OUT");

const GUEST = new URL("guest", import.meta.url).pathname;

/** What a scenario needs. */
export interface GuestSettings {
  /** The guest's memory; all that the scenario writes to files is in it, too. */
  memory: string;
  /** The guest is ended after so many seconds. */
  limitSeconds: number;
}

const settings: GuestSettings = { memory: "1G", limitSeconds: 300 };

/** Asks for another guest than the usual one of 1 GiB and 300 s. Call it before the first test. */
export function guest(changes: Partial<GuestSettings>): void {
  Object.assign(settings, changes);
}

/** Declares a test of the scenario. Tests run one after the other, in one guest. */
export function test(name: string, body: () => void | Promise<void>): void {
  if (shared !== undefined) declareInside(name, body, `${shared}/passed`);
  else declareOutside(name);
}

/** Processes and nodes outlive the test that made them, so nothing is said about what is left over. */
function declareInside(name: string, body: () => void | Promise<void>, passedFile: string): void {
  const fn = async () => {
    step(`test: ${name}`);
    await body();
    await Deno.writeTextFile(passedFile, `${name}\n`, { append: true });
  };
  Deno.test({ name, fn, sanitizeOps: false, sanitizeResources: false, sanitizeExit: false });
}

/** How the guest's run went. */
interface Run {
  readonly passed: ReadonlySet<string>;
  readonly code: number;
}

let missing: string | undefined;
let run: Promise<Run> | undefined;

function declareOutside(name: string): void {
  if (missing === undefined) {
    missing = whatIsMissing();
    if (missing !== "") console.log(`ignored: ${missing}`);
  }
  const fn = async () => {
    if (missing !== "") throw new Error(`cannot run here: ${missing}`);
    run ??= bootAndRun();
    const { passed, code } = await run;
    if (!passed.has(name)) {
      throw new Error(`failed in the guest (exit status ${code}), whose output is above`);
    }
    if (code !== 0 && passed.size === declared) {
      throw new Error(`all passed, but the guest ended with ${code}`);
    }
  };
  declared++;
  Deno.test({ name, ignore: missing !== "" && Deno.env.get("CI") !== "true", fn });
}

let declared = 0;

/** Why this machine cannot run a guest; empty when it can. */
function whatIsMissing(): string {
  if (Deno.build.os !== "linux" || Deno.build.arch !== "x86_64") {
    return "Debian's user-mode-linux is for Linux on x86_64";
  }
  if (Deno.uid() !== 0) return "only root can let a guest read all files";
  const files = ["/usr/bin/linux.uml", "/usr/lib/ipsec/charon", "/usr/sbin/swanctl"].filter((path) =>
    !isFile(path)
  );
  return files.length === 0 ? "" : `no ${files.join(", ")} (.ci/setup lab installs Debian's packages)`;
}

function isFile(path: string): boolean {
  try {
    return Deno.statSync(path).isFile;
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return false;
    throw error;
  }
}

/** Boots a guest and runs this very file in it. It ends with us, however we end. */
async function bootAndRun(): Promise<Run> {
  const out = await Deno.makeTempDir({ prefix: "scenario." });
  try {
    const show = Deno.env.get("GUEST_SHOW") === "1";
    const stdio = show ? "inherit" : "piped";
    const child = new Deno.Command("setpriv", {
      args: ["--pdeathsig", "TERM", GUEST, "-o", out, "-t", `${settings.limitSeconds}`, "-m", settings.memory]
        .concat(await commandInside()),
      stdin: "null",
      stdout: stdio,
      stderr: stdio,
    }).spawn();
    const [{ code }, output] = await Promise.all([child.status, show ? "" : collect(child)]);
    if (code !== 0) console.log(output);
    const passed = await Deno.readTextFile(`${out}/passed`).catch(() => "");
    return { code, passed: new Set(passed.split("\n").slice(0, -1)) };
  } finally {
    await Deno.remove(out, { recursive: true });
  }
}

/** The command for the guest: this scenario, with the packages that are cached here and a cache of its own besides. */
async function commandInside(): Promise<string[]> {
  const { stdout } = await new Deno.Command(Deno.execPath(), { args: ["info", "--json"] }).output();
  const { npmCache } = JSON.parse(new TextDecoder().decode(stdout)) as { npmCache: string }; // so says Deno's manual
  const script = 'mkdir /run/deno; ln -s "$1" /run/deno/npm; export DENO_DIR=/run/deno; shift; exec "$@"';
  const deno = [
    Deno.execPath(),
    "test",
    "--no-check",
    "--cached-only",
    "-A",
    new URL(Deno.mainModule).pathname,
  ];
  return ["sh", "-c", script, "sh", npmCache, ...deno];
}

/** Both outputs as they come, in one text. */
async function collect(child: Deno.ChildProcess): Promise<string> {
  let text = "";
  const read = async (stream: ReadableStream<Uint8Array>) => {
    for await (const chunk of stream.pipeThrough(new TextDecoderStream())) text += chunk;
  };
  await Promise.all([read(child.stdout), read(child.stderr)]);
  return text;
}

/** From the operator's arguments to what was asked for: checks the configuration, goes to the background. */

import { parseArguments } from "../src/config/arguments.ts";
import { printConfig } from "../src/config/print.ts";
import { formatKey } from "../src/config/shared_key.ts";
import { spawnDetached } from "../ffi/daemonise.ts";
import { effectiveUserId } from "../ffi/identity.ts";
import { type Libc, openLibc } from "../ffi/libc.ts";
import { readConfig } from "./config.ts";
import { control } from "./control.ts";
import { run } from "./network.ts";

/** First argument of the second process, before the operator's own; the number of the readiness pipe follows. */
export const BACKGROUND = "--background";

type Run = Extract<ReturnType<typeof parseArguments>, { kind: "run" }>;

/** `background`: the readiness pipe of the first process, in the second one. @returns the exit status. */
export async function start(args: string[], background: number | undefined): Promise<number> {
  const invocation = parseArguments(args);
  if (invocation.kind === "usage") return fail(invocation.text.trimEnd(), invocation.exitCode);
  if (invocation.kind === "genkey") return print(formatKey(crypto.getRandomValues(new Uint8Array(32))));
  const libc = openLibc();
  const isRoot = effectiveUserId(libc) === 0;
  const needsRoot = invocation.kind === "control" || !invocation.check;
  if (needsRoot && !isRoot) return fail("sasyncd: need root privileges");
  const config = readConfig(libc, invocation.file);
  if (invocation.kind === "control") return await control(libc, config, invocation);
  if (invocation.check) return print(printConfig(config).trimEnd());
  const stays = invocation.debug || background !== undefined;
  return await (stays ? run(libc, config, { ...invocation, background }) : goToBackground(libc, invocation));
}

/** The first process: starts the second and leaves when that is ready, or has said why it is not. */
async function goToBackground(libc: Libc, { file, verbosity }: Run): Promise<number> {
  const absolute = file.startsWith("/") ? file : `${Deno.cwd()}/${file}`;
  const verbose = new Array<string>(verbosity).fill("-v");
  const outcome = await spawnDetached(libc, {
    args: (fd) => [BACKGROUND, `${fd}`, ...verbose, "-c", absolute],
  });
  return outcome.ready ? 0 : outcome.code || 1;
}

function print(text: string): number {
  console.log(text);
  return 0;
}

function fail(message: string, code = 1): number {
  console.error(message);
  return code;
}

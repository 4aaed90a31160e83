/**
 * From the operator's arguments to what was asked for. A daemon becomes two processes: the helper, which stays root,
 * and the network process, which goes on in the place of this one without root's rights.
 */

import { parseArguments } from "../config/arguments.ts";
import { type Config, DEFAULT_PORT } from "../config/config.ts";
import { printConfig } from "../config/print.ts";
import { formatKey } from "../config/shared_key.ts";
import { LINUX } from "../../ffi/constants.ts";
import { adoptFd, spawnDetached, spawnHelper } from "../../ffi/daemonise.ts";
import { executeSelf } from "../../ffi/execute.ts";
import { openSocketPair } from "../../ffi/fd.ts";
import { effectiveUserId } from "../../ffi/identity.ts";
import { type Libc, openLibc } from "../../ffi/libc.ts";
import { FfiLocalListener } from "../../ffi/local_listener.ts";
import { lockFile } from "../../ffi/lock_file.ts";
import { dropPrivileges } from "../../ffi/privileges.ts";
import { forbidCoreDumps, keepDescriptors } from "../../ffi/process.ts";
import { accountOf } from "./account.ts";
import { readConfig } from "./config.ts";
import { control, controlPath } from "./control.ts";
import { HELPER } from "./helper.ts";
import { NETWORK, runNetwork } from "./network.ts";
import { argumentsOf, type Run } from "./run.ts";

/** First argument of the second process, before the operator's own; the number of the readiness pipe follows. */
export const BACKGROUND = "--background";

/** Only root may listen on a port below this one. */
const FIRST_FREE_PORT = 1024;

/** `background`: the readiness pipe of the first process, in the second one. @returns the exit status. */
export async function start(args: string[], background: number | undefined): Promise<number> {
  const invocation = parseArguments(args);
  if (invocation.kind === "usage") return fail(invocation.text.trimEnd(), invocation.exitCode);
  if (invocation.kind === "genkey") return print(formatKey(crypto.getRandomValues(new Uint8Array(32))));
  const libc = openLibc();
  forbidCoreDumps(libc); // before any key is read
  const needsRoot = invocation.kind === "control" || !invocation.check;
  if (needsRoot && effectiveUserId(libc) !== 0) return fail("sasyncd: need root privileges");
  const config = readConfig(libc, invocation.file);
  if (invocation.kind === "control") return await control(libc, config, invocation);
  if (invocation.check) return print(printConfig(config).trimEnd());
  const stays = invocation.debug || background !== undefined;
  return await (stays ? divide(libc, config, invocation, background) : goToBackground(libc, invocation));
}

/** The first process: starts the second and leaves when that is ready, or has said why it is not. */
async function goToBackground(libc: Libc, run: Run): Promise<number> {
  const outcome = await spawnDetached(libc, {
    args: (fd) => [BACKGROUND, `${fd}`, ...argumentsOf(libc, run)],
  });
  return outcome.ready ? 0 : outcome.code || 1;
}

/** Starts the helper and becomes the network process. */
async function divide(libc: Libc, config: Config, run: Run, background: number | undefined): Promise<number> {
  const account = accountOf(libc, config);
  keepDescriptors(libc);
  const ready = background === undefined ? undefined : adoptFd(libc, background);
  const path = controlPath(libc, config);
  // before anything that a daemon that runs would lose; the helper has it not, so it goes with the network process
  const lock = lockFile(libc, `${path}.lock`);
  const controlSocket = FfiLocalListener.open(libc, path);
  const [own, helpers] = openSocketPair(libc);
  const owner = 1 + Math.floor(Math.random() * 0xffff_fffe);
  const args = argumentsOf(libc, run);
  spawnHelper(libc, helpers, (fd) => [HELPER, `${fd}`, `${owner}`, ...args], run.debug ? "inherit" : "null");
  const fds = [own.number, controlSocket.fd, ready?.number ?? -1];
  const rest = [...fds.map(String), `${owner}`, ...args];
  if (libc.system !== "linux") return await runNetwork(rest);
  dropPrivileges(libc, account, capabilitiesOf(config));
  return executeSelf(libc, [NETWORK, ...rest], [...fds, lock.number].filter((fd) => fd >= 0));
}

/** What the network process needs of root's rights. */
function capabilitiesOf({ listen, metrics }: Config): number[] {
  const ports = listen.length === 0 ? [DEFAULT_PORT] : listen.map(({ port }) => port);
  const needsPort = [...ports, metrics?.port ?? Infinity].some((port) => port < FIRST_FREE_PORT);
  return [LINUX.CAP_NET_ADMIN, ...needsPort ? [LINUX.CAP_NET_BIND_SERVICE] : []];
}

function print(text: string): number {
  console.log(text);
  return 0;
}

function fail(message: string, code = 1): number {
  console.error(message);
  return code;
}

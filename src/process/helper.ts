/**
 * The helper: the one process that stays root. It does the few things of src/daemon/helper_messages.ts for the network
 * process, and what has to be done when that has died, however that happened.
 */

import type { Config } from "../config/config.ts";
import { checkFiles } from "../daemon/check_files.ts";
import { FileDemoter } from "../daemon/file_demoter.ts";
import { GroupDemoter } from "../daemon/group_demoter.ts";
import { RuleGuard } from "../daemon/guard.ts";
import { type HelperAnswer, MOST_COMMAND_BYTES, MOST_WAITING_ANSWERS } from "../daemon/helper_messages.ts";
import { giveBack, HelperServer, logOver } from "../daemon/helper_server.ts";
import { IkeOrders } from "../daemon/ike_orders.ts";
import { IkeSwitch } from "../daemon/ike_switch.ts";
import { LineStream } from "../daemon/line_stream.ts";
import { openIke } from "../daemon/open_ike.ts";
import { ViciRelay } from "../daemon/vici_relay.ts";
import type { Log } from "../log/verbosity.ts";
import type { Demoter } from "../ports.ts";
import { replaceFile } from "../../ffi/atomic_file.ts";
import { FfiInterfaceControl } from "../../ffi/carp.ts";
import { SystemClock } from "../../ffi/clock.ts";
import { FfiCommandRunner } from "../../ffi/command.ts";
import { adoptFd } from "../../ffi/daemonise.ts";
import { type Libc, openLibc } from "../../ffi/libc.ts";
import { FfiLocalDoors } from "../../ffi/local.ts";
import { removeSocket } from "../../ffi/local_listener.ts";
import { NETLINK_ROUTE, openNetlink } from "../../ffi/netlink.ts";
import { readOwnedFile } from "../../ffi/owned_file.ts";
import { FfiPoller } from "../../ffi/poll.ts";
import { forbidCoreDumps, forbidTracing } from "../../ffi/process.ts";
import { FfiStream } from "../../ffi/stream.ts";
import { readToTell } from "./config.ts";
import { controlPath } from "./control.ts";
import { openProcessLog } from "./log.ts";
import { look } from "./look.ts";
import { faultOf, isExpected } from "./errors.ts";
import { parseRun } from "./run.ts";

/** First argument of the helper. The descriptor, the owner of the guard's rules and the operator's arguments follow. */
export const HELPER = "--helper";

/** How long the helper tries to give back what was taken from the IKE daemon. */
const LEAVE_IKE_MS = 2000;

/** @returns the exit status */
export async function runHelper([fd, owner, ...args]: readonly string[]): Promise<number> {
  for (const signal of ["SIGTERM", "SIGINT", "SIGHUP"] as const) Deno.addSignalListener(signal, () => {});
  const run = parseRun(args);
  const libc = openLibc();
  forbidCoreDumps(libc);
  forbidTracing(libc);
  const stream = new FfiStream(libc, adoptFd(libc, Number(fd)));
  const lines = new LineStream(stream, MOST_COMMAND_BYTES, MOST_WAITING_ANSWERS);
  const log = logOver(lines, openProcessLog(libc, run));
  try {
    const { config, reading } = await readToTell(libc, run.file);
    lines.send({ answer: "configuration", reading } satisfies HelperAnswer);
    if (config !== undefined) await serve(libc, config, { file: run.file, owner: Number(owner), lines, log });
    return 0;
  } catch (error) {
    log.error(`the helper ends: ${isExpected(error) ? error.message : faultOf(error)}`);
    return 1;
  }
}

/** What it has besides the configuration. */
interface Means {
  readonly file: string;
  readonly owner: number;
  readonly lines: LineStream;
  readonly log: Log;
}

/** Until the network process ends, and what is to be done then. What it is ordered follows from this configuration. */
async function serve(libc: Libc, config: Config, { file, owner, lines, log }: Means): Promise<void> {
  const clock = new SystemClock(libc);
  const poller = new FfiPoller(libc);
  const demoter = openDemoter(libc, config);
  const runner = new FfiCommandRunner(libc, () => poller.wake());
  const doors = new FfiLocalDoors(libc);
  const controls = openIke(config.control, { doors, runner, log });
  const ike = new IkeOrders(controls.map((control) => new IkeSwitch(control, log)), clock);
  const read = async () => (await readToTell(libc, file)).reading;
  const check = () => checkFiles(config.checkFiles, (path) => readOwnedFile(libc, path));
  const vici = new ViciRelay({ doors, path: viciPath(config), tell: (answer) => lines.send(answer) });
  const server = new HelperServer({
    ...{ lines, poller, clock, log, ike, demoter, vici, read },
    look: (at) => look(libc, config, at),
    checkFiles: check,
  });
  let isOrderly = false;
  try {
    isOrderly = await server.run();
  } finally {
    if (!isOrderly) {
      log.notice("the network process is gone without a word: the helper gives back what was taken");
    }
    await giveBack([
      // first: later it may be that of the next daemon
      {
        what: "remove the control socket",
        act: () => isOrderly && removeSocket(libc, controlPath(libc, config)),
      },
      { what: "leave the demotion behind", act: () => demoter?.leave() },
      { what: "take the guard away", act: () => libc.system === "linux" && sweepGuard(libc, owner) },
      { what: "leave the IKE daemons to themselves", act: () => ike.leave(poller, LEAVE_IKE_MS) },
    ], log);
  }
  if (isOrderly) lines.send({ answer: "left" } satisfies HelperAnswer);
}

function viciPath({ control }: Config): string | undefined {
  return typeof control === "object" && control.daemon === "strongswan" ? control.socket : undefined;
}

/** The rules of a network process that was killed; one that ends in order has removed them. */
function sweepGuard(libc: Libc, owner: number): void {
  new RuleGuard(openNetlink(libc, { protocol: NETLINK_ROUTE, groups: [] }), owner).sweep("own");
}

function openDemoter(libc: Libc, { demoteFile, group, mode }: Config): Demoter | undefined {
  if (mode === undefined && libc.system === "openbsd") {
    return new GroupDemoter(group, new FfiInterfaceControl(libc));
  }
  if (demoteFile === undefined) return undefined;
  return new FileDemoter({
    ...demoteFile,
    read: (path) => new TextDecoder().decode(readOwnedFile(libc, path).bytes),
    replace: (path, text) => replaceFile(libc, path, text),
  });
}

/** Whether the helper has something to demote. */
export function canDemote({ system }: Libc, { demoteFile, mode }: Config): boolean {
  return demoteFile !== undefined || mode === undefined && system === "openbsd";
}

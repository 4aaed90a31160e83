/** The process that does the daemon's work: from the configuration to real ports, and on until it is told to end. */

import type { Config } from "../src/config/config.ts";
import { makeGateway } from "../src/daemon/daemon.ts";
import { FileDemoter } from "../src/daemon/file_demoter.ts";
import { GroupDemoter } from "../src/daemon/group_demoter.ts";
import { Listeners } from "../src/daemon/listeners.ts";
import { openIke } from "../src/daemon/open_ike.ts";
import type { Configuration } from "../src/daemon/reload.ts";
import { resolveConfig, type Resolver } from "../src/daemon/resolve_config.ts";
import { JournalHandler } from "../src/log/journal_handler.ts";
import { StderrHandler } from "../src/log/stderr_handler.ts";
import { SyslogHandler } from "../src/log/syslog_handler.ts";
import { openLog } from "../src/log/verbosity.ts";
import type { Demoter } from "../src/ports.ts";
import { replaceFile } from "../ffi/atomic_file.ts";
import { FfiInterfaceControl } from "../ffi/carp.ts";
import { SystemClock, SystemRandom } from "../ffi/clock.ts";
import { FfiCommandRunner } from "../ffi/command.ts";
import { adoptReadyFd, reportReady } from "../ffi/daemonise.ts";
import { listInterfaceAddresses } from "../ffi/interfaces.ts";
import type { Keeper } from "../ffi/keeper.ts";
import type { Libc } from "../ffi/libc.ts";
import { FfiLocalDoors } from "../ffi/local.ts";
import { FfiLocalListener } from "../ffi/local_listener.ts";
import { readOwnedFile } from "../ffi/owned_file.ts";
import { FfiPoller } from "../ffi/poll.ts";
import { forbidCoreDumps, forbidTracing, releaseTerminal } from "../ffi/process.ts";
import { resolveName } from "../ffi/resolve.ts";
import { SyslogSocket } from "../ffi/syslog.ts";
import { FfiTransport } from "../ffi/tcp.ts";
import { readConfig } from "./config.ts";
import { controlPath } from "./control.ts";
import { faultOf, isExpected } from "./errors.ts";
import { MASTER, openKeeper, SLAVE } from "./keeper.ts";
import { openGuard, openKernel } from "./kernel.ts";
import { isJournalStderr, openSupervisor } from "./systemd.ts";
import { openTracker } from "./tracker.ts";

/** What `sasyncd log verbose` counts as: everything. */
const VERBOSE = 3;

/** How the operator wants it to run. */
export interface RunOptions {
  /** In the foreground, logging to stderr. */
  readonly debug: boolean;
  readonly verbosity: number;
  /** The readiness pipe of a first process that waits. */
  readonly background?: number;
}

/** Runs until it is told to end. @returns the exit status. */
export async function run(libc: Libc, config: Config, options: RunOptions): Promise<number> {
  const { debug, verbosity, background } = options;
  const ready = background === undefined ? undefined : adoptReadyFd(libc, background);
  forbidCoreDumps(libc);
  forbidTracing(libc);
  const syslog = new SyslogSocket(libc);
  const handler = debug
    ? isJournalStderr() ? new JournalHandler(writeStderr) : new StderrHandler(writeStderr)
    : new SyslogHandler(Deno.pid, (bytes) => syslog.send(bytes));
  const log = openLog(handler, verbosity);
  const resolved = resolveConfig(config, resolverOf(libc));
  const tracker = openTracker(libc, config);
  const transport = new FfiTransport(libc);
  const listening = new Listeners(transport, log);
  const listeners = listening.set(resolved.listening);
  const metrics = config.metrics && transport.listen(config.metrics);
  const controlListener = FfiLocalListener.open(libc, controlPath(libc, config));
  const clock = new SystemClock(libc);
  const kernel = openKernel(libc, config, clock, log);
  const hasGuard = kernel.name !== "memory" && libc.system === "linux";
  const owner = 1 + Math.floor(Math.random() * 0xffff_fffe);
  const guard = hasGuard ? openGuard(libc, owner) : { set() {} };
  const keeper = hasGuard ? openKeeper(owner, config, log) : undefined;
  const poller = new FfiPoller(libc);
  const doors = new FfiLocalDoors(libc);
  const gateway = makeGateway(config, resolved, {
    clock,
    random: new SystemRandom(),
    poller,
    transport,
    listeners,
    reload: {
      reread: () => Promise.resolve().then(() => reread(libc, config.file)),
      listen: (places) => listening.set(places),
      openTracker: (config) => openTracker(libc, config),
    },
    kernel,
    guard,
    tracker,
    demoter: openDemoter(libc, config, keeper),
    doors,
    ike: openIke(config.control, {
      doors,
      runner: new FfiCommandRunner(libc, () => poller.wake()),
      log,
      tellHeir: (will) => keeper?.tell("ike", will),
    }),
    control: controlListener,
    log,
    metrics,
    supervisor: openSupervisor(libc),
    adjustLog: (loudness) => log.adjust(loudness === "verbose" ? VERBOSE : verbosity),
    os: Deno.build.os,
  });
  for (const signal of ["SIGTERM", "SIGINT"] as const) {
    Deno.addSignalListener(signal, () => gateway.stop(`received ${signal}`));
  }
  Deno.addSignalListener("SIGHUP", () => gateway.reload());
  log.state(`sasyncd started, kernel ${kernel.name}, ${config.peers.length} peers`);
  if (ready !== undefined) {
    releaseTerminal(libc);
    reportReady(libc, ready);
  }
  try {
    await gateway.run();
  } catch (error) {
    log.error(`sasyncd ends: ${isExpected(error) ? error.message : faultOf(error)}`);
    return 1;
  }
  log.state("sasyncd stopped");
  return 0;
}

function openDemoter(libc: Libc, config: Config, keeper: Keeper | undefined): Demoter | undefined {
  const { demoteFile, group, mode } = config;
  if (mode === undefined && libc.system === "openbsd") {
    return new GroupDemoter(group, new FfiInterfaceControl(libc));
  }
  if (demoteFile === undefined) return undefined;
  return new FileDemoter({
    ...demoteFile,
    read: (path) => new TextDecoder().decode(readOwnedFile(libc, path).bytes),
    replace: (path, text) => replaceFile(libc, path, text),
    tellHeir: (isMaster) => keeper?.tell("role", isMaster ? MASTER : SLAVE),
  });
}

function reread(libc: Libc, file: string): Configuration {
  const config = readConfig(libc, file);
  return { config, resolved: resolveConfig(config, resolverOf(libc)) };
}

function resolverOf(libc: Libc): Resolver {
  return {
    host: (name) => resolveName(libc, name),
    interfaceAddresses: (name) =>
      listInterfaceAddresses(libc).filter((one) => one.name === name).map(({ address }) => address),
  };
}

function writeStderr(line: string): void {
  try {
    Deno.stderr.writeSync(new TextEncoder().encode(line));
  } catch {
    // nobody reads the log any more (EPIPE): no reason to end, and nowhere to say so
  }
}

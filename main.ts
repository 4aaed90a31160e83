/** sasyncd: arguments → configuration → real ports → run. The only file that knows Deno.args and Deno.exit. */

import { parseArguments } from "./src/config/arguments.ts";
import type { Config } from "./src/config/config.ts";
import { printConfig } from "./src/config/print.ts";
import { formatKey } from "./src/config/shared_key.ts";
import { AddressTracker } from "./src/daemon/address_tracker.ts";
import { CarpTracker } from "./src/daemon/carp_tracker.ts";
import { command } from "./src/daemon/control_client.ts";
import { makeGateway } from "./src/daemon/daemon.ts";
import { DEMOTED, FileDemoter } from "./src/daemon/file_demoter.ts";
import { GroupDemoter } from "./src/daemon/group_demoter.ts";
import { loadConfig } from "./src/daemon/load_config.ts";
import { LockedTracker } from "./src/daemon/locked_tracker.ts";
import { IkeOrders } from "./src/daemon/ike_orders.ts";
import { IkeSwitch } from "./src/daemon/ike_switch.ts";
import { openHeir, openIke } from "./src/daemon/open_ike.ts";
import { MemoryKernel } from "./src/daemon/memory_kernel.ts";
import { type Listening, resolveConfig, ResolveError, type Resolver } from "./src/daemon/resolve_config.ts";
import { RuleGuard } from "./src/daemon/guard.ts";
import { PfkeyKernel } from "./src/daemon/pfkey_kernel.ts";
import { XfrmKernel } from "./src/daemon/xfrm_kernel.ts";
import { ConfigError, DecodeError, KernelReplyError, PeerError, SyscallError } from "./src/errors.ts";
import { RTNLGRP_IPV4_IFADDR, RTNLGRP_IPV6_IFADDR, RTNLGRP_LINK } from "./src/link/interfaces.ts";
import { HOST_ORDER } from "./src/layout/byte_order.ts";
import { RTM_DESYNC, RTM_IFANNOUNCE, RTM_IFINFO } from "./src/link/route_messages.ts";
import { StderrHandler } from "./src/log/stderr_handler.ts";
import { SyslogHandler } from "./src/log/syslog_handler.ts";
import { type Log, openLog, SILENT_LOG } from "./src/log/verbosity.ts";
import { linuxDialect } from "./src/pfkey/linux.ts";
import { openbsdDialect } from "./src/pfkey/openbsd.ts";
import type { Clock, Demoter, KernelIpsec, Listener, RoleTracker } from "./src/ports.ts";
import { replaceFile } from "./ffi/atomic_file.ts";
import { FfiInterfaceControl, openRouteSocket } from "./ffi/carp.ts";
import { SystemClock, SystemRandom } from "./ffi/clock.ts";
import { FfiCommandRunner } from "./ffi/command.ts";
import { adoptReadyFd, reportReady, spawnDetached } from "./ffi/daemonise.ts";
import { effectiveUserId, findAccount } from "./ffi/identity.ts";
import { interfaceIndex, interfaceName, listInterfaceAddresses } from "./ffi/interfaces.ts";
import { openKeySocket } from "./ffi/key_socket.ts";
import { Keeper, readWill } from "./ffi/keeper.ts";
import { type Libc, openLibc } from "./ffi/libc.ts";
import { FfiLocalDoors } from "./ffi/local.ts";
import { FfiLocalListener } from "./ffi/local_listener.ts";
import { openNetlink } from "./ffi/netlink.ts";
import { readOwnedFile } from "./ffi/owned_file.ts";
import { FfiPoller } from "./ffi/poll.ts";
import { forbidCoreDumps, forbidTracing, releaseTerminal } from "./ffi/process.ts";
import { resolveName } from "./ffi/resolve.ts";
import { readSysctl } from "./ffi/sysctl.ts";
import { SyslogSocket } from "./ffi/syslog.ts";
import { FfiTransport } from "./ffi/tcp.ts";

/** First argument of the second process, before the operator's own; the number of the readiness pipe follows. */
const BACKGROUND = "--background";

/**
 * First argument of the process that cleans up when this one has died: the owner of the guard's rules follows, and
 * the file of `demote file`, if there is one.
 */
const GUARD_KEEPER = "--guard-keeper";

/** What the keeper is told: this node is to be demoted when this process has died, or not. */
const SLAVE = "S";
const MASTER = "M";

/** How long the keeper tries to give back what was taken from the IKE daemon. */
const HEIR_MS = 2000;

/** The user that the daemon's files may belong to instead of root. */
const DAEMON_USER = "_sasyncd";

const NETLINK_ROUTE = 0;
const NETLINK_XFRM = 6;

const PFKEY_WARNING =
  "kernel pfkey: PF_KEY cannot carry AEAD, ESN, counters and more, and Linux is to lose it " +
  "in 2027; use kernel xfrm where it works";

type Run = Extract<ReturnType<typeof parseArguments>, { kind: "run" }>;

await main([...Deno.args]);

async function main(args: string[]): Promise<void> {
  try {
    if (args[0] === GUARD_KEEPER) return await keep(Number(args[1]), args[2]);
    if (args[0] !== BACKGROUND) return await start(args, undefined);
    await start(args.slice(2), Number(args[1]));
  } catch (error) {
    if (!isExpected(error)) throw error;
    fail(error instanceof ConfigError ? error.message : `sasyncd: ${error.message}`);
  }
}

/** `background`: the readiness pipe of the first process, in the second one. */
async function start(args: string[], background: number | undefined): Promise<void> {
  const invocation = parseArguments(args);
  if (invocation.kind === "usage") return fail(invocation.text.trimEnd(), invocation.exitCode);
  if (invocation.kind === "genkey") return console.log(formatKey(crypto.getRandomValues(new Uint8Array(32))));
  const libc = openLibc();
  const isRoot = effectiveUserId(libc) === 0;
  const needsRoot = invocation.kind === "control" || !invocation.check;
  if (needsRoot && !isRoot) return fail("sasyncd: need root privileges");
  const owner = isRoot ? findAccount(libc, DAEMON_USER)?.uid : effectiveUserId(libc);
  const config = loadConfig(invocation.file, (path) => readOwnedFile(libc, path), owner);
  if (invocation.kind === "control") return await control(libc, config, invocation.command);
  if (invocation.check) return console.log(printConfig(config).trimEnd());
  if (invocation.debug || background !== undefined) await run(libc, config, invocation, background);
  else await goToBackground(libc, invocation);
}

/** Has the running daemon do something, and says what comes of it. */
async function control(libc: Libc, config: Config, name: string): Promise<void> {
  const stream = new FfiLocalDoors(libc).connect(controlPath(libc, config));
  const problem = await command(stream, new FfiPoller(libc), name, (text) => console.log(text));
  if (problem !== undefined) return fail(`sasyncd: ${name}: ${problem}`);
  console.log(`${name}: done`);
}

function controlPath(libc: Libc, { controlSocket }: Config): string {
  return controlSocket ?? (libc.system === "linux" ? "/run/sasyncd.sock" : "/var/run/sasyncd.sock");
}

/** The first process: starts the second and leaves when that is ready, or has said why it is not. */
async function goToBackground(libc: Libc, { file, verbosity }: Run): Promise<void> {
  const absolute = file.startsWith("/") ? file : `${Deno.cwd()}/${file}`;
  const verbose = new Array<string>(verbosity).fill("-v");
  const outcome = await spawnDetached(libc, {
    args: (fd) => [BACKGROUND, `${fd}`, ...verbose, "-c", absolute],
  });
  Deno.exit(outcome.ready ? 0 : outcome.code || 1);
}

async function run(
  libc: Libc,
  config: Config,
  { debug, verbosity }: Run,
  background?: number,
): Promise<void> {
  const ready = background === undefined ? undefined : adoptReadyFd(libc, background);
  forbidCoreDumps(libc);
  forbidTracing(libc);
  const syslog = new SyslogSocket(libc);
  const handler = debug
    ? new StderrHandler(writeStderr)
    : new SyslogHandler(Deno.pid, (bytes) => syslog.send(bytes));
  const log = openLog(handler, verbosity);
  const resolved = resolveConfig(config, resolverOf(libc));
  const tracker = openTracker(libc, config);
  const transport = new FfiTransport(libc);
  const listeners = resolved.listening.flatMap((at) => listen(transport, at, log));
  const controlListener = FfiLocalListener.open(libc, controlPath(libc, config));
  const clock = new SystemClock(libc);
  const kernel = openKernel(libc, config, clock, log);
  const hasGuard = kernel.name !== "memory" && libc.system === "linux";
  const owner = 1 + Math.floor(Math.random() * 0xffff_fffe);
  const guard = hasGuard ? openGuard(libc, owner) : { set() {} };
  const keeper = hasGuard ? openKeeper(owner, config, log) : undefined;
  const poller = new FfiPoller(libc);
  const gateway = makeGateway(config, resolved, {
    clock,
    random: new SystemRandom(),
    poller,
    transport,
    listeners,
    kernel,
    guard,
    tracker,
    demoter: openDemoter(libc, config, keeper),
    ike: openIke(config.control, {
      doors: new FfiLocalDoors(libc),
      runner: new FfiCommandRunner(libc, () => poller.wake()),
      log,
      tellHeir: (will) => keeper?.tell("ike", will),
    }),
    control: controlListener,
    log,
    os: Deno.build.os,
  });
  for (const signal of ["SIGTERM", "SIGINT"] as const) {
    Deno.addSignalListener(signal, () => gateway.stop(`received ${signal}`));
  }
  Deno.addSignalListener(
    "SIGHUP",
    () => log.notice("SIGHUP: reading the configuration again is not there yet"),
  );
  log.state(`sasyncd started, kernel ${kernel.name}, ${config.peers.length} peers`);
  if (ready !== undefined) {
    releaseTerminal(libc);
    reportReady(libc, ready);
  }
  try {
    await gateway.run();
  } catch (error) {
    log.error(`sasyncd ends: ${isExpected(error) ? error.message : faultOf(error)}`);
    Deno.exit(1);
  }
  log.state("sasyncd stopped");
  Deno.exit(0);
}

/** A fault of ours, with the place where it happened: by now nobody may be left to read it but the log. */
function faultOf(error: unknown): string {
  return error instanceof Error ? error.stack ?? error.message : `${error}`;
}

function openKernel(libc: Libc, config: Config, clock: Clock, log: Log): KernelIpsec {
  const { kernel } = config;
  if (kernel === "memory" || kernel === "memory openbsd") return new MemoryKernel(clock);
  if (libc.system === "openbsd") return openOpenbsdKernel(libc, config, clock);
  if (kernel === "pfkey") return openPfkeyKernel(libc, config, clock, log);
  try {
    return openXfrmKernel(libc, clock);
  } catch (error) {
    const isMissing = error instanceof SyscallError && error.errno === "EPROTONOSUPPORT";
    if (kernel !== "auto" || !isMissing) throw error;
    return openPfkeyKernel(libc, config, clock, log);
  }
}

function openPfkeyKernel(libc: Libc, { pfkey }: Config, clock: Clock, log: Log): PfkeyKernel {
  if (libc.system !== "linux") throw new ResolveError("kernel pfkey: only on Linux in this version");
  log.notice(PFKEY_WARNING);
  return new PfkeyKernel({
    open: (receiveBufferBytes) => openKeySocket(libc, { receiveBufferBytes }),
    clock,
    pid: 0x4000_0000 + Math.floor(Math.random() * 0x4000_0000), // no process has such a number
  }, linuxDialect(HOST_ORDER, pfkey));
}

/** Not yet run on OpenBSD. */
function openOpenbsdKernel(libc: Libc, { kernel }: Config, clock: Clock): PfkeyKernel {
  if (kernel === "xfrm") throw new ResolveError("kernel xfrm: only on Linux");
  return new PfkeyKernel({
    open: (receiveBufferBytes) => openKeySocket(libc, { receiveBufferBytes }),
    sysctl: (name) => readSysctl(libc, name),
    clock,
    pid: Deno.pid, // the kernel refuses messages that state another one
  }, openbsdDialect());
}

function openXfrmKernel(libc: Libc, clock: Clock): XfrmKernel {
  return new XfrmKernel({
    open: (groups, receiveBufferBytes, ignoredPortId) =>
      openNetlink(libc, { protocol: NETLINK_XFRM, groups, receiveBufferBytes, ignoredPortId }),
    clock,
    interfaces: {
      nameOf: (index) => interfaceName(libc, index),
      indexOf: (name) => interfaceIndex(libc, name),
    },
  });
}

function openGuard(libc: Libc, owner: number): RuleGuard {
  const guard = new RuleGuard(openNetlink(libc, { protocol: NETLINK_ROUTE, groups: [] }), owner);
  guard.sweep("all");
  return guard;
}

function openKeeper(owner: number, { demoteFile }: Config, log: Log): Keeper {
  const args = [GUARD_KEEPER, `${owner}`, ...demoteFile === undefined ? [] : [demoteFile.path]];
  return new Keeper(args, (text) => log.error(text));
}

/** What the keeper does, once this process is gone: `owner` is the guard's, `demoteFile` what it demotes a slave in. */
async function keep(owner: number, demoteFile: string | undefined): Promise<void> {
  const will = await readWill();
  const libc = openLibc();
  try {
    if (demoteFile !== undefined && will.get("role") === SLAVE) replaceFile(libc, demoteFile, DEMOTED);
  } finally {
    new RuleGuard(openNetlink(libc, { protocol: NETLINK_ROUTE, groups: [] }), owner).sweep("own");
  }
  await giveBack(libc, will.get("ike"));
  Deno.exit(0);
}

/** What the process that has died had taken from the IKE daemon. */
async function giveBack(libc: Libc, will: string | undefined): Promise<void> {
  if (will === undefined) return;
  const control = openHeir(will, { doors: new FfiLocalDoors(libc), log: SILENT_LOG });
  const orders = new IkeOrders([new IkeSwitch(control, SILENT_LOG)], new SystemClock(libc));
  await orders.leave(new FfiPoller(libc), HEIR_MS);
}

function openTracker(libc: Libc, { mode, interface: name, virtualAddress: address }: Config): RoleTracker {
  if (mode !== undefined) return new LockedTracker(mode);
  if (name !== undefined && libc.system === "openbsd") return openCarpTracker(libc, name);
  if (name === undefined || address === undefined) {
    throw new ResolveError(
      `interface ${name}: this system has no carp(4), an address has to follow the name`,
    );
  }
  const open = (groups: readonly number[]) => openNetlink(libc, { protocol: NETLINK_ROUTE, groups });
  const groups = [RTNLGRP_LINK, RTNLGRP_IPV4_IFADDR, RTNLGRP_IPV6_IFADDR];
  return new AddressTracker({ interface: name, address, events: open(groups), requests: open([]) });
}

function openCarpTracker(libc: Libc, name: string): CarpTracker {
  return new CarpTracker({
    interface: name,
    events: openRouteSocket(libc, [RTM_IFINFO, RTM_IFANNOUNCE, RTM_DESYNC]),
    control: new FfiInterfaceControl(libc),
    indexOf: (name) => interfaceIndex(libc, name),
  });
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

function listen(transport: FfiTransport, at: Listening, log: Log): Listener[] {
  try {
    return [transport.listen(at)];
  } catch (error) {
    if (!at.optional || !(error instanceof SyscallError) || error.errno !== "EAFNOSUPPORT") throw error;
    log.detail(`not listening: ${error.message}`);
    return [];
  }
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

/** Errors with a message for the operator; everything else is a fault of ours and shows its stack. */
function isExpected(error: unknown): error is Error {
  return [ConfigError, DecodeError, ResolveError, SyscallError, KernelReplyError, PeerError].some((kind) =>
    error instanceof kind
  );
}

function fail(message: string, code = 1): void {
  console.error(message);
  Deno.exit(code);
}

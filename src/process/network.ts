/** The process that does the daemon's work: from the configuration to real ports, and on until it is told to end. */

import { makeGateway } from "../daemon/daemon.ts";
import type { Gateway } from "../daemon/gateway.ts";
import { HelperClient, type ReadConfig } from "../daemon/helper_client.ts";
import { MOST_ANSWER_BYTES, MOST_WAITING_COMMANDS, type Sight } from "../daemon/helper_messages.ts";
import { LineStream } from "../daemon/line_stream.ts";
import { Listeners } from "../daemon/listeners.ts";
import type { Configuration } from "../daemon/reload.ts";
import { resolveConfig, ResolveError } from "../daemon/resolve_config.ts";
import type { Fd } from "../ports.ts";
import { SystemClock, SystemRandom } from "../../ffi/clock.ts";
import { confine } from "../../ffi/confine.ts";
import { adoptFd, reportReady } from "../../ffi/daemonise.ts";
import { listInterfaceAddresses } from "../../ffi/interfaces.ts";
import { type Libc, openLibc } from "../../ffi/libc.ts";
import { FfiLocalListener } from "../../ffi/local_listener.ts";
import { FfiPoller, waitReadable } from "../../ffi/poll.ts";
import { forbidCoreDumps, forbidTracing, releaseTerminal } from "../../ffi/process.ts";
import { FfiStream } from "../../ffi/stream.ts";
import { FfiTransport } from "../../ffi/tcp.ts";
import { accountOf } from "./account.ts";
import { faultOf, isExpected } from "./errors.ts";
import { canDemote } from "./helper.ts";
import { openGuard, openKernel } from "./kernel.ts";
import { openProcessLog } from "./log.ts";
import { openPremises } from "./premises.ts";
import { parseRun, type Run } from "./run.ts";
import { openSupervisor } from "./systemd.ts";
import { openTracker } from "./tracker.ts";

/** On OpenBSD: connections, names and addresses of interfaces, and a compiler at run time. */
const PLEDGE = "stdio inet unix route prot_exec";

/** What `sasyncd log verbose` counts as: everything. */
const VERBOSE = 3;

/** First argument of the network process; numbers and the operator's arguments follow, as in `Inherited`. */
export const NETWORK = "--network";

/** What a process is left by processes/start.ts. */
interface Inherited {
  /** The way to the helper. */
  readonly helper: Fd;
  /** The control socket, which listens. */
  readonly control: Fd;
  /** The readiness pipe of a first process that waits; undefined when none does. */
  readonly ready: Fd | undefined;
  /** Of the guard's rules. */
  readonly owner: number;
  readonly run: Run;
}

function parseInherited([helper, control, ready, owner, ...args]: readonly string[]): Inherited {
  const run = parseRun(args);
  return {
    helper: Number(helper),
    control: Number(control),
    ready: Number(ready) < 0 ? undefined : Number(ready),
    owner: Number(owner),
    run,
  };
}

/** Runs until it is told to end. @returns the exit status. */
export async function runNetwork(args: readonly string[]): Promise<number> {
  const inherited = parseInherited(args);
  const libc = openLibc();
  forbidCoreDumps(libc);
  forbidTracing(libc);
  const ready = inherited.ready === undefined ? undefined : adoptFd(libc, inherited.ready);
  const log = openProcessLog(libc, inherited.run);
  const clock = new SystemClock(libc);
  const poller = new FfiPoller(libc);
  let gateway: Gateway | undefined;
  let status = 0;
  const helper = new HelperClient({
    lines: new LineStream(
      new FfiStream(libc, adoptFd(libc, inherited.helper)),
      MOST_ANSWER_BYTES,
      MOST_WAITING_COMMANDS,
    ),
    clock,
    log,
    waitReadable: (fd, limitMs) => waitReadable(libc, fd, limitMs),
    gone(reason) {
      log.error(reason);
      status = 1;
      gateway?.stop(reason);
    },
  });
  const { config, resolved } = resolve(libc, await helper.firstConfig(poller));
  const look = (at: Sight) => helper.look(at);
  const tracker = openTracker(libc, config, look);
  const transport = new FfiTransport(libc);
  const listening = new Listeners(transport, log);
  const listeners = listening.set(resolved.listening);
  const metrics = config.metrics && transport.listen(config.metrics);
  const kernel = openKernel(libc, config, { clock, log, look });
  const hasGuard = kernel.name !== "memory" && libc.system === "linux";
  const running = gateway = makeGateway(config, resolved, {
    clock,
    random: new SystemRandom(),
    poller,
    transport,
    listeners,
    reload: {
      reread: async () => resolve(libc, await helper.readConfig()),
      listen: (places) => listening.set(places),
      listeners: () => listening.open,
      openTracker(config) {
        const isConfined = libc.system === "openbsd" && config.mode === undefined;
        if (isConfined) throw new ResolveError("interface: on OpenBSD it takes another start of the daemon");
        return openTracker(libc, config, look);
      },
    },
    kernel,
    guard: hasGuard ? openGuard(libc, inherited.owner) : { set() {} },
    tracker,
    demoter: canDemote(libc, config) ? helper.demoter : undefined,
    doors: helper.doors,
    ike: helper,
    control: FfiLocalListener.adopt(libc, adoptFd(libc, inherited.control)),
    log,
    metrics,
    supervisor: openSupervisor(libc),
    premises: openPremises(libc, kernel, () => helper.checkFiles()),
    adjustLog: (loudness) => log.adjust(loudness === "verbose" ? VERBOSE : inherited.run.verbosity),
    os: Deno.build.os,
  });
  for (const signal of ["SIGTERM", "SIGINT"] as const) {
    Deno.addSignalListener(signal, () => running.stop(`received ${signal}`));
  }
  Deno.addSignalListener("SIGHUP", () => running.reload());
  log.state(`sasyncd started, kernel ${kernel.name}, ${config.peers.length} peers`);
  if (ready !== undefined) {
    releaseTerminal(libc);
    reportReady(libc, ready);
  }
  if (libc.system === "openbsd") confine(libc, accountOf(libc, config), PLEDGE);
  // from here on nothing new is opened by way of the runtime
  for (const name of ["env", "ffi", "read", "run"] as const) Deno.permissions.revokeSync({ name });
  try {
    await running.run();
  } catch (error) {
    log.error(`sasyncd ends: ${isExpected(error) ? error.message : faultOf(error)}`);
    return 1;
  }
  log.state("sasyncd stopped");
  return status;
}

function resolve(libc: Libc, { config, host }: ReadConfig): Configuration {
  const addresses = listInterfaceAddresses(libc);
  const interfaceAddresses = (wanted: string) =>
    addresses.filter(({ name }) => name === wanted).map(({ address }) => address);
  return { config, resolved: resolveConfig(config, { host, interfaceAddresses }) };
}

/**
 * Makes a Config of the settings of either syntax: checks every value and how they fit together, fills in the
 * defaults, and reports all mistakes at once.
 */

import { ConfigError, type Mistake } from "../errors.ts";
import { parseAddress, parsePrefix, type Prefix } from "../record/address.ts";
import {
  accept,
  canonical,
  checkWord,
  type Context,
  onLine,
  portNumber,
  settingsOf,
  single,
} from "./check_context.ts";
import { checkNextKey, checkPeers, checkProtocol, checkSharedKey } from "./check_peers.ts";
import {
  choiceProblem,
  commandProblem,
  demoteWeightProblem,
  familyProblem,
  filePathProblem,
  hostProblem,
  nameProblem,
  portProblem,
  prefixProblem,
  renegotiateProblem,
  socketProblem,
  truncationProblem,
  userProblem,
  virtualAddressProblem,
} from "./check_values.ts";
import {
  type Config,
  DEFAULT_DEMOTE_WEIGHT,
  DEFAULT_METRICS_PORT,
  DEFAULT_VICI_SOCKET,
  type DemoteFile,
  type IkeChoice,
  type ListenStatement,
  type MetricsAddress,
  type PfkeyAssumptions,
} from "./config.ts";
import { quoteWord } from "./quote_word.ts";
import type { ParsedSettings } from "./settings.ts";
import type { KeyFileReader } from "./shared_key.ts";

/** The words that a setting can take, the default first. */
const FLUSH_MODES = ["startup", "never", "sync"] as const;
const REPLAYS = ["lenient", "strict"] as const;
const MODES = ["master", "slave", "skipslave"] as const;
const DAEMONS = ["isakmpd", "iked", "all", "none"] as const;
const CONTROLS = [...DAEMONS, "strongswan", "exec"] as const;
const KERNELS = ["auto", "xfrm", "pfkey", "memory", "memory openbsd"] as const;
const PFKEY_ASSUMPTIONS = ["assume-truncation", "assume-no-esn"] as const;

/** @throws {ConfigError} with the mistakes of the parser and of these checks, in the order of their lines. */
export function checkSettings(file: string, parsed: ParsedSettings, readKeyFile: KeyFileReader): Config {
  const mistakes: Mistake[] = [...parsed.mistakes];
  const config = makeConfig(file, {
    settings: parsed.settings,
    allowWeak: parsed.settings.some(({ kind }) => kind === "weak"),
    readKeyFile,
    report: (line, message) => mistakes.push({ file, line, message }),
  });
  if (mistakes.length > 0) throw new ConfigError(mistakes.toSorted((a, b) => orderOf(a) - orderOf(b)));
  return config;
}

/** Mistakes of the file as a whole come last. */
function orderOf({ line }: Mistake): number {
  return line === 0 ? Number.MAX_SAFE_INTEGER : line;
}

function makeConfig(file: string, context: Context): Config {
  const mode = checkMode(context);
  const sharedKey = checkSharedKey(context);
  const protocol = checkProtocol(context);
  const control = checkControl(context);
  const config: Config = {
    file,
    ...checkInterface(context),
    group: checkGroup(context),
    flushMode: checkWord(context, "flushmode", FLUSH_MODES),
    replay: checkWord(context, "replay", REPLAYS),
    listen: checkListen(context),
    ...mode,
    protocol,
    peers: checkPeers(context, protocol),
    sharedKey,
    nextKey: checkNextKey(context, sharedKey),
    allowWeakKey: context.allowWeak,
    control,
    renegotiatePerSecond: checkRenegotiate(context, control),
    controlSocket: checkControlSocket(context),
    user: checkUser(context),
    kernel: checkWord(context, "kernel", KERNELS),
    pfkey: checkPfkey(context),
    shared: checkPrefixes(context, "shared"),
    exclude: checkPrefixes(context, "exclude"),
    demoteFile: checkDemote(context),
    metrics: checkMetrics(context),
    checkFiles: checkCheckFiles(context),
  };
  if (mode.mode === undefined && settingsOf(context, "interface").length === 0) {
    context.report(0, "interface is missing (only mode master or mode slave goes without)");
  }
  return config;
}

function checkInterface(context: Context): Pick<Config, "interface" | "virtualAddress"> {
  const setting = single(context, "interface");
  if (setting === undefined) return { interface: undefined, virtualAddress: undefined };
  const { line, name, address } = setting;
  accept(context, line, "interface", nameProblem(name), virtualAddressProblem(address));
  return { interface: name, virtualAddress: address === undefined ? undefined : parseAddress(address) };
}

function checkGroup(context: Context): string {
  const setting = single(context, "group");
  if (setting === undefined) return "carp";
  accept(context, setting.line, "group", nameProblem(setting.value));
  return setting.value;
}

function checkDemote(context: Context): DemoteFile | undefined {
  const setting = single(context, "demote");
  if (setting === undefined) return undefined;
  const { line, path, weight } = setting;
  accept(context, line, "demote", filePathProblem(path), demoteWeightProblem(weight));
  return { path, weight: weight === undefined ? DEFAULT_DEMOTE_WEIGHT : Number(weight) };
}

function checkCheckFiles(context: Context): readonly string[] {
  return settingsOf(context, "check file").map(({ line, value }) => {
    accept(context, line, "check file", filePathProblem(value));
    return value;
  });
}

function checkMetrics(context: Context): MetricsAddress | undefined {
  const setting = single(context, "metrics");
  if (setting === undefined) return undefined;
  const { line, address: word, port } = setting;
  const address = parseAddress(word);
  const problem = address === undefined ? `${quoteWord(word)} is not an address` : undefined;
  accept(context, line, "metrics", problem, portProblem(port));
  if (address === undefined) return undefined;
  return { address, port: port === undefined ? DEFAULT_METRICS_PORT : Number(port) };
}

function checkControl(context: Context): IkeChoice {
  const setting = single(context, "control");
  if (setting === undefined) return DAEMONS[0];
  const { line, daemon, socket, command } = setting;
  accept(context, line, "control", choiceProblem(daemon, CONTROLS));
  if (socket !== undefined && daemon !== "strongswan") {
    context.report(line, "control: socket is for strongswan");
  }
  if (command !== undefined && daemon !== "exec") context.report(line, "control: command is for exec");
  if (daemon === "strongswan") return checkStrongswan(context, line, socket);
  if (daemon === "exec") return checkExec(context, line, command);
  return DAEMONS.find((word) => word === daemon) ?? DAEMONS[0];
}

function checkStrongswan(context: Context, line: number, socket = DEFAULT_VICI_SOCKET): IkeChoice {
  accept(context, line, "control strongswan", socketProblem(socket));
  return { daemon: "strongswan", socket };
}

function checkExec(context: Context, line: number, command = ""): IkeChoice {
  accept(context, line, "control exec", commandProblem(command));
  return { daemon: "exec", command: command.trim().split(/\s+/) };
}

/** @returns how many in a second */
function checkRenegotiate(context: Context, control: IkeChoice): number | undefined {
  const setting = single(context, "renegotiate");
  if (setting === undefined || setting.value === "off") return undefined;
  const { line, value } = setting;
  accept(context, line, "renegotiate", renegotiateProblem(value));
  const isStrongswan = typeof control === "object" && control.daemon === "strongswan";
  if (!isStrongswan) context.report(line, "renegotiate: needs control strongswan");
  return Number.parseFloat(value);
}

function checkControlSocket(context: Context): string | undefined {
  const setting = single(context, "control socket");
  if (setting !== undefined) accept(context, setting.line, "control socket", socketProblem(setting.value));
  return setting?.value;
}

function checkUser(context: Context): string | undefined {
  const setting = single(context, "user");
  if (setting !== undefined) accept(context, setting.line, "user", userProblem(setting.value));
  return setting?.value;
}

/** Each assumption at most once; both may be given. */
function checkPfkey(context: Context): PfkeyAssumptions {
  const given = new Map<string, string | undefined>();
  for (const { line, assumption, value } of settingsOf(context, "pfkey")) {
    accept(context, line, "pfkey", choiceProblem(assumption, PFKEY_ASSUMPTIONS));
    if (assumption === "assume-truncation") accept(context, line, "pfkey", truncationProblem(value));
    if (given.has(assumption)) context.report(line, `pfkey: ${assumption} is given twice`);
    given.set(assumption, value);
  }
  const bits = given.get("assume-truncation");
  const truncation = bits === "96" ? 96 : bits === "128" ? 128 : undefined;
  return { truncation, noEsn: given.has("assume-no-esn") };
}

function checkMode(context: Context): Pick<Config, "mode" | "skipSlave"> {
  let locked: { mode: "master" | "slave"; line: number } | undefined;
  let skipSlave = false;
  for (const { value, line } of settingsOf(context, "mode")) {
    if (value === "skipslave") skipSlave = true;
    else if (value !== "master" && value !== "slave") {
      accept(context, line, "mode", choiceProblem(value, MODES));
    } else if (locked === undefined || locked.mode === value) locked ??= { mode: value, line };
    else context.report(line, `mode: ${value} contradicts ${locked.mode}${onLine(locked.line)}`);
  }
  return { mode: locked?.mode, skipSlave };
}

function checkListen(context: Context): readonly ListenStatement[] {
  const listen = new Map<string, ListenStatement>();
  for (const { line, target, family, port } of settingsOf(context, "listen")) {
    const problems = [hostProblem(target, true), familyProblem(family, target), portProblem(port)];
    if (!accept(context, line, "listen on", ...problems)) continue;
    const statement = { target, family: familyNumber(family), port: portNumber(port) };
    listen.set(`${canonical(target)} ${statement.family} ${statement.port}`, statement);
  }
  return [...listen.values()];
}

function familyNumber(family: string | undefined): 4 | 6 | undefined {
  if (family === undefined) return undefined;
  return family === "inet" ? 4 : 6;
}

function checkPrefixes(context: Context, kind: "shared" | "exclude"): readonly Prefix[] {
  const prefixes: Prefix[] = [];
  for (const { line, value } of settingsOf(context, kind)) {
    const prefix = parsePrefix(value);
    accept(context, line, kind, prefixProblem(value));
    if (prefix !== undefined) prefixes.push(prefix);
  }
  return prefixes;
}

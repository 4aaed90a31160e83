/**
 * Makes a Config of the settings of either syntax: checks every value and how they fit together, fills in the
 * defaults, and reports all mistakes at once.
 */

import { equalBytes, isAnyAddress, parseAddress, parsePrefix, type Prefix } from "../record/address.ts";
import { ConfigError, type Mistake } from "../errors.ts";
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
  DEFAULT_PORT,
  DEFAULT_VICI_SOCKET,
  type DemoteFile,
  type IkeChoice,
  type ListenStatement,
  type MetricsAddress,
  type PeerStatement,
  type PfkeyAssumptions,
  type Protocol,
  type SharedKey,
} from "./config.ts";
import { quoteWord } from "./quote_word.ts";
import type { KeySource, ParsedSettings, Setting, SettingOf } from "./settings.ts";
import { type KeyFileReader, readSharedKey } from "./shared_key.ts";

/** The words that a setting can take, the default first. */
const FLUSH_MODES = ["startup", "never", "sync"] as const;
const REPLAYS = ["lenient", "strict"] as const;
const MODES = ["master", "slave", "skipslave"] as const;
const DAEMONS = ["isakmpd", "iked", "all", "none"] as const;
const CONTROLS = [...DAEMONS, "strongswan", "exec"] as const;
const KERNELS = ["auto", "xfrm", "pfkey", "memory", "memory openbsd"] as const;
const PFKEY_ASSUMPTIONS = ["assume-truncation", "assume-no-esn"] as const;
const PROTOCOLS = ["native", "classic"] as const;

/** Stands for a key that is missing or wrong, so that the other checks go on; no Config with it gets out. */
const NO_KEY: SharedKey = { kind: "hex", bytes: new Uint8Array(0) };

/** What every check needs. */
interface Context {
  readonly settings: readonly Setting[];
  readonly allowWeak: boolean;
  readonly readKeyFile: KeyFileReader;
  /** Keeps a mistake; `line` 0 is the file as a whole. */
  report(line: number, message: string): void;
}

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
  const protocol = checkWord(context, "protocol", PROTOCOLS);
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

function settingsOf<K extends Setting["kind"]>({ settings }: Context, kind: K): readonly SettingOf<K>[] {
  return settings.filter((setting): setting is SettingOf<K> => setting.kind === kind);
}

/** The one setting of its kind; every further one is a mistake. */
function single<K extends Setting["kind"]>(context: Context, kind: K): SettingOf<K> | undefined {
  const [first, ...others] = settingsOf(context, kind);
  for (const { line } of others) context.report(line, `${kind}: given twice${onLine(first?.line)}`);
  return first;
}

function onLine(line: number | undefined): string {
  return line === undefined || line === 0 ? "" : ` (first on line ${line})`;
}

/** Reports the problems that there are. @returns whether there was none. */
function accept(context: Context, line: number, where: string, ...problems: (string | undefined)[]): boolean {
  const found = problems.filter((problem) => problem !== undefined);
  for (const problem of found) context.report(line, `${where}: ${problem}`);
  return found.length === 0;
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

function checkWord<T extends string>(
  context: Context,
  kind: "flushmode" | "kernel" | "protocol" | "replay",
  known: readonly [T, ...T[]],
): T {
  const setting = single(context, kind);
  if (setting === undefined) return known[0];
  accept(context, setting.line, kind, choiceProblem(setting.value, known));
  return known.find((word) => word === setting.value) ?? known[0];
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

function portNumber(port: string | undefined): number {
  return port === undefined ? DEFAULT_PORT : Number(port);
}

/** One text for all spellings of an address; host names do not depend on case. */
function canonical(target: string): string {
  return parseAddress(target)?.join(" ") ?? target.toLowerCase();
}

/** A peer that is given again in the same way counts once. */
function checkPeers(context: Context, protocol: Protocol): readonly PeerStatement[] {
  const peers = new Map<string, { peer: PeerStatement; line: number }>();
  for (const setting of settingsOf(context, "peer")) {
    const peer = checkPeer(context, setting, protocol);
    if (peer === undefined) continue;
    const earlier = peers.get(canonical(peer.target));
    if (earlier === undefined) peers.set(canonical(peer.target), { peer, line: setting.line });
    else if (!samePeer(earlier.peer, peer)) {
      const message = `given twice with different options${onLine(earlier.line)}`;
      context.report(setting.line, `peer ${quoteWord(peer.target)}: ${message}`);
    }
  }
  return [...peers.values()].map(({ peer }) => peer);
}

function checkPeer(
  context: Context,
  setting: SettingOf<"peer">,
  ofNode: Protocol,
): PeerStatement | undefined {
  const { line, target, port, key, role, protocol } = setting;
  const address = parseAddress(target);
  const any = address && isAnyAddress(address) ? "all zeros is nobody's address" : undefined;
  const accepted = accept(context, line, "peer", hostProblem(target, false), any);
  const where = `peer ${quoteWord(target)}`;
  const problems = [wordProblem("role", role, ["slave"]), wordProblem("protocol", protocol, PROTOCOLS)];
  accept(context, line, where, portProblem(port), ...problems);
  const sharedKey = key === undefined ? undefined : checkKey(context, line, `${where}: sharedkey`, key);
  if (!accepted) return undefined;
  return {
    target,
    port: portNumber(port),
    sharedKey,
    slaveOnly: role === "slave",
    protocol: PROTOCOLS.find((word) => word === protocol) ?? ofNode,
  };
}

/** What is wrong with the word of an option, which need not be there. */
function wordProblem(what: string, word: string | undefined, known: readonly string[]): string | undefined {
  const problem = word === undefined ? undefined : choiceProblem(word, known);
  return problem === undefined ? undefined : `the ${what} ${problem}`;
}

function samePeer(a: PeerStatement, b: PeerStatement): boolean {
  return a.port === b.port && a.slaveOnly === b.slaveOnly && a.protocol === b.protocol &&
    sameKey(a.sharedKey, b.sharedKey);
}

function sameKey(a: SharedKey | undefined, b: SharedKey | undefined): boolean {
  if (a === undefined || b === undefined) return a === b;
  return a.kind === b.kind && equalBytes(a.bytes, b.bytes);
}

function checkSharedKey(context: Context): SharedKey {
  const setting = single(context, "sharedkey");
  if (setting !== undefined) return checkKey(context, setting.line, "sharedkey", setting.key);
  const hint = settingsOf(context, "peer").some(({ key }) => key !== undefined)
    ? " (one that stands after a peer on its line is for that peer only)"
    : "";
  context.report(0, `sharedkey is missing${hint}`);
  return NO_KEY;
}

/** A next key that is the present one would be a rollover that changes nothing. */
function checkNextKey(context: Context, present: SharedKey): SharedKey | undefined {
  const setting = single(context, "sharedkey next");
  if (setting === undefined) return undefined;
  const key = checkKey(context, setting.line, "sharedkey next", setting.key);
  const isSame = key !== NO_KEY && sameKey(key, present);
  if (isSame) context.report(setting.line, "sharedkey next: is the present key");
  return key;
}

function checkKey(context: Context, line: number, where: string, source: KeySource): SharedKey {
  const key = readSharedKey(source, context.readKeyFile, context.allowWeak);
  if (typeof key !== "string") return key;
  context.report(line, `${where}: ${key}`);
  return NO_KEY;
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

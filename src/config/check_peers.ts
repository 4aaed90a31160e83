/** Checks the peers and the keys that they share with this node. */

import { equalBytes, isAnyAddress, parseAddress } from "../record/address.ts";
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
import { choiceProblem, hostProblem, portProblem } from "./check_values.ts";
import type { PeerStatement, Protocol, SharedKey } from "./config.ts";
import { quoteWord } from "./quote_word.ts";
import type { KeySource, SettingOf } from "./settings.ts";
import { readSharedKey } from "./shared_key.ts";

const PROTOCOLS = ["native", "classic"] as const;

/** Stands for a key that is missing or wrong, so that the other checks go on; no Config with it gets out. */
const NO_KEY: SharedKey = { kind: "hex", bytes: new Uint8Array(0) };

/** The protocol of the peers that do not have their own. */
export function checkProtocol(context: Context): Protocol {
  return checkWord(context, "protocol", PROTOCOLS);
}

/** A peer that is given again in the same way counts once. */
export function checkPeers(context: Context, protocol: Protocol): readonly PeerStatement[] {
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

/** The key of all peers that do not have their own. */
export function checkSharedKey(context: Context): SharedKey {
  const setting = single(context, "sharedkey");
  if (setting !== undefined) return checkKey(context, setting.line, "sharedkey", setting.key);
  const hint = settingsOf(context, "peer").some(({ key }) => key !== undefined)
    ? " (one that stands after a peer on its line is for that peer only)"
    : "";
  context.report(0, `sharedkey is missing${hint}`);
  return NO_KEY;
}

/** A next key that is the present one would be a rollover that changes nothing. */
export function checkNextKey(context: Context, present: SharedKey): SharedKey | undefined {
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

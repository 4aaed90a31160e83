/** Turns a configuration's names and interfaces into addresses, and those into what the parts of the daemon take. */

import { createHash } from "node:crypto";
import type { Config, ListenStatement, PeerStatement, SharedKey } from "../config/config.ts";
import { DEFAULT_PORT } from "../config/config.ts";
import type { Ownership } from "../core/ownership.ts";
import type { ListenAddress } from "../ports.ts";
import {
  type Address,
  anyAddress,
  equalBytes,
  formatAddress,
  formatPrefix,
  parseAddress,
  type Prefix,
} from "../record/address.ts";
import { derivePsk } from "../wire/native/psk.ts";
import type { ClassicPeerSettings } from "./classic_peers.ts";
import type { PeerSettings } from "./peer.ts";

/** What only the system knows. */
export interface Resolver {
  /** Addresses of a host name, the preferred one first; empty when there is none. */
  host(name: string): readonly Address[];
  /** Addresses of an interface; empty when it has none or does not exist. */
  interfaceAddresses(name: string): readonly Address[];
}

/** Where to listen; `optional`: nobody asked for this one by name, so a system without IPv6 may lack it. */
export interface Listening extends ListenAddress {
  readonly optional: boolean;
}

/** The configuration as the daemon's parts take it. */
export interface Resolved {
  readonly listening: readonly Listening[];
  /** Local addresses that `listen on` names. */
  readonly named: readonly Address[];
  readonly peers: readonly PeerSettings[];
  readonly classicPeers: readonly ClassicPeerSettings[];
  readonly ownership: Ownership;
  /** Digest of what decides ownership; equal on all nodes that agree. 16 bytes. */
  readonly settingsDigest: Uint8Array;
}

/** A name that stands for no address. Handled by main: message, exit 1. */
export class ResolveError extends Error {
  override readonly name = "ResolveError";
}

/** @throws {ResolveError} for the first name that cannot be resolved. */
export function resolveConfig(config: Config, resolver: Resolver): Resolved {
  const named = config.listen.flatMap((statement) => listenAddresses(statement, resolver));
  const all = resolvePeers(config, resolver);
  const hosts = [...named, ...all].map(({ address }) => address);
  const local = [...uniqueHosts(hosts), ...config.exclude];
  const ownership = { local, shared: config.shared };
  return {
    listening: named.length > 0 ? named : everywhere(),
    named: named.map(({ address }) => address),
    peers: nativePeers(all),
    classicPeers: all.filter(({ protocol }) => protocol === "classic")
      .map(({ sharedKey, nextKey: _, ...peer }) => ({ ...peer, key: sharedKey.bytes })),
    ownership,
    settingsDigest: digestOwnership(ownership, config.flushMode),
  };
}

/** The words of a configuration that may be host names. */
export function namesIn({ listen, peers }: Config): readonly string[] {
  const targets = [...listen, ...peers].map(({ target }) => target);
  return [...new Set(targets)].filter((target) => parseAddress(target) === undefined);
}

function everywhere(): Listening[] {
  const families = [4, 6] as const;
  return families.map((family) => ({ address: anyAddress(family), port: DEFAULT_PORT, optional: true }));
}

function listenAddresses({ target, family, port }: ListenStatement, resolver: Resolver): Listening[] {
  const literal = parseAddress(target);
  const found = literal !== undefined ? [literal] : resolver.interfaceAddresses(target);
  const addresses = (found.length > 0 ? found : resolver.host(target))
    .filter((address) => family === undefined || address.length === (family === 4 ? 4 : 16))
    .filter((address) => !isLinkLocal(address));
  if (addresses.length === 0) {
    throw new ResolveError(`listen on ${target}: no such address, interface or host`);
  }
  return addresses.map((address) => ({ address, port, optional: false }));
}

/** A peer with its address, whatever is spoken with it. */
interface ResolvedPeer extends Omit<PeerStatement, "target"> {
  readonly name: string;
  readonly address: Address;
  readonly sharedKey: SharedKey;
  /** Of those that have no key of their own. */
  readonly nextKey: SharedKey | undefined;
}

function resolvePeers(config: Config, resolver: Resolver): ResolvedPeer[] {
  const peers = new Map<string, ResolvedPeer>();
  for (const { target, sharedKey: own, ...options } of config.peers) {
    const sharedKey = own ?? config.sharedKey;
    const nextKey = own === undefined ? config.nextKey : undefined;
    const address = parseAddress(target) ?? resolver.host(target)[0];
    if (address === undefined) throw new ResolveError(`peer ${target}: no such host`);
    const name = formatAddress(address);
    if (!peers.has(name)) peers.set(name, { name, address, sharedKey, nextKey, ...options });
  }
  return [...peers.values()];
}

/** A key that several peers have in common is stretched once: that takes a while. */
function nativePeers(all: readonly ResolvedPeer[]): PeerSettings[] {
  const psks = new Map<SharedKey, Uint8Array>();
  const pskOf = (key: SharedKey) => {
    const psk = psks.get(key) ?? derivePsk({ stretch: key.kind === "ascii", bytes: key.bytes });
    psks.set(key, psk);
    return psk;
  };
  return all.filter(({ protocol }) => protocol === "native").map(({ sharedKey, nextKey, ...peer }) => ({
    ...peer,
    psk: pskOf(sharedKey),
    ...nextKey === undefined ? {} : { nextPsk: pskOf(nextKey) },
  }));
}

function uniqueHosts(addresses: readonly Address[]): Prefix[] {
  return addresses
    .filter((address, i) => addresses.findIndex((other) => equalBytes(other, address)) === i)
    .map((address) => ({ address, bits: address.length * 8 }));
}

/** Which of these addresses is a node's own and which its peer's does not matter: the set is the same on both. */
function digestOwnership({ local, shared }: Ownership, flushMode: string): Uint8Array {
  const text = [
    ...local.map(formatPrefix).toSorted(),
    "shared",
    ...shared.map(formatPrefix).toSorted(),
    flushMode,
  ].join("\n");
  return new Uint8Array(createHash("sha256").update(text).digest().subarray(0, 16));
}

/** fe80::/10 needs an interface to go with it, which this program does not carry. */
function isLinkLocal(address: Address): boolean {
  return address.length === 16 && address[0] === 0xfe && (address[1]! & 0xc0) === 0x80;
}

/** The configuration as the rest of the program sees it, whichever syntax it was written in. */

import type { Address, Prefix } from "../record/address.ts";

/** Port of both protocols where none is given. */
export const DEFAULT_PORT = 500;

/** Where `sasyncd` looks for its configuration without `-c`. */
export const DEFAULT_CONFIG_FILE = "/etc/sasyncd.conf";

/** A key as configured. ASCII keys are stretched by the native protocol, the others are not. */
export interface SharedKey {
  readonly kind: "ascii" | "hex" | "file";
  readonly bytes: Uint8Array;
}

/** `listen on`: an address, a host name, or an interface (all its addresses, or those of `family`). */
export interface ListenStatement {
  readonly target: string;
  readonly family: 4 | 6 | undefined;
  readonly port: number;
}

/** `peer`: an address or host name. */
export interface PeerStatement {
  readonly target: string;
  readonly port: number;
  readonly sharedKey: SharedKey | undefined;
  /** Never take data from this peer. */
  readonly slaveOnly: boolean;
  readonly protocol: Protocol;
}

/** What is spoken with a peer: ours, or that of OpenBSD's sasyncd. */
export type Protocol = "native" | "classic";

/** `strict`: after a takeover no packet is taken that may have come before it, at the cost of late ones. */
export type ReplayChoice = "lenient" | "strict";

export type FlushMode = "startup" | "never" | "sync";
/** `memory openbsd`: the classic protocol carries the records as messages of OpenBSD's PF_KEY. */
export type KernelChoice = "auto" | "xfrm" | "pfkey" | "memory" | "memory openbsd";

/** `control`: which IKE daemon is told to be active or passive. */
export type IkeChoice =
  | "isakmpd"
  | "iked"
  | "all"
  | "none"
  /** Path of charon's vici socket. */
  | { readonly daemon: "strongswan"; readonly socket: string }
  /** The words of the command, the first an absolute path. */
  | { readonly daemon: "exec"; readonly command: readonly string[] };

/** Where charon listens unless it is told otherwise. */
export const DEFAULT_VICI_SOCKET = "/var/run/charon.vici";

/** `demote file`: what keepalived's `track_file` reads. */
export interface DemoteFile {
  readonly path: string;
  /** What the file says while this node is not demoted; 0 says that it is. */
  readonly weight: number;
}

/** What `demote file` lifts the priority by where no weight is given. */
export const DEFAULT_DEMOTE_WEIGHT = 100;

/** `metrics listen on`: where figures can be fetched over HTTP. */
export interface MetricsAddress {
  readonly address: Address;
  readonly port: number;
}

/** The port of `metrics listen on` where none is given. */
export const DEFAULT_METRICS_PORT = 9752;

/** How to read what Linux's PF_KEY does not tell: the statements `pfkey assume-…`. */
export interface PfkeyAssumptions {
  /** Bits of the ICV of HMAC-SHA-256. */
  readonly truncation: 96 | 128 | undefined;
  /** A replay window of 0 stands for none, and not for ESN or a long one. */
  readonly noEsn: boolean;
}

/** Everything that can be configured, with its default filled in. */
export interface Config {
  readonly file: string;
  readonly interface: string | undefined;
  /** The address whose presence on the interface makes a master; undefined: the interface is a carp(4) one. */
  readonly virtualAddress: Address | undefined;
  readonly group: string;
  readonly flushMode: FlushMode;
  readonly replay: ReplayChoice;
  /** Empty: all local addresses, port 500. */
  readonly listen: readonly ListenStatement[];
  /** undefined: follow the interface. */
  readonly mode: "master" | "slave" | undefined;
  readonly skipSlave: boolean;
  /** Of the peers that do not have their own. */
  readonly protocol: Protocol;
  readonly peers: readonly PeerStatement[];
  readonly sharedKey: SharedKey;
  /** Is to follow `sharedKey`: native peers without a key of their own may use either. */
  readonly nextKey: SharedKey | undefined;
  readonly allowWeakKey: boolean;
  readonly control: IkeChoice;
  /** Inherited tunnels that are negotiated anew in a second; undefined: none ever is. */
  readonly renegotiatePerSecond: number | undefined;
  /** Path of the daemon's own control socket; undefined: the system's default. */
  readonly controlSocket: string | undefined;
  /** Account that the network process runs as; undefined: the system's default. */
  readonly user: string | undefined;
  readonly kernel: KernelChoice;
  readonly pfkey: PfkeyAssumptions;
  readonly shared: readonly Prefix[];
  readonly exclude: readonly Prefix[];
  readonly demoteFile: DemoteFile | undefined;
  /** undefined: nowhere. */
  readonly metrics: MetricsAddress | undefined;
  /** Files that `sasyncd verify` compares between the gateways, by their paths. */
  readonly checkFiles: readonly string[];
}

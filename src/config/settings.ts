/**
 * What either syntax says, statement by statement, before its values are checked. The parsers of sasyncd.conf and of
 * TOML write it, check.ts makes a Config of it.
 */

import type { Mistake } from "../errors.ts";

/** Where a key is written: in the statement, or in a file of its own. */
export type KeySource =
  | { readonly kind: "text"; readonly text: string }
  | { readonly kind: "file"; readonly path: string };

/** The statements that take one word. */
export type WordKind =
  | "group"
  | "flushmode"
  | "mode"
  | "kernel"
  | "protocol"
  | "renegotiate"
  | "replay"
  | "shared"
  | "exclude"
  | "control socket"
  | "user"
  | "check file";

type Statement =
  | { [K in WordKind]: { readonly kind: K; readonly value: string } }[WordKind]
  | { readonly kind: "sharedkey"; readonly key: KeySource }
  | { readonly kind: "sharedkey next"; readonly key: KeySource }
  | { readonly kind: "weak" }
  | { readonly kind: "interface"; readonly name: string; readonly address: string | undefined }
  | {
    readonly kind: "control";
    readonly daemon: string;
    readonly socket: string | undefined;
    readonly command: string | undefined;
  }
  | { readonly kind: "pfkey"; readonly assumption: string; readonly value: string | undefined }
  | { readonly kind: "metrics"; readonly address: string; readonly port: string | undefined }
  | { readonly kind: "demote"; readonly path: string; readonly weight: string | undefined }
  | {
    readonly kind: "listen";
    readonly target: string;
    readonly family: string | undefined;
    readonly port: string | undefined;
  }
  | {
    readonly kind: "peer";
    readonly target: string;
    readonly port: string | undefined;
    readonly key: KeySource | undefined;
    readonly role: string | undefined;
    readonly protocol: string | undefined;
  };

/** One statement, its values as written. `line` counts from 1; 0 where it is not known. */
export type Setting = Statement & { readonly line: number };

/** A setting of one kind. */
export type SettingOf<K extends Setting["kind"]> = Extract<Setting, { readonly kind: K }>;

/** What a parser found: all that could be understood, and what could not. */
export interface ParsedSettings {
  readonly settings: readonly Setting[];
  readonly mistakes: readonly Mistake[];
}

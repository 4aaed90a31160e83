/**
 * What the network process may ask of the helper, which runs as root, and what that answers: JSON lines over a pair
 * of sockets. The list is closed, and the helper trusts nothing in it: what an order is carried out on, it takes
 * from the configuration that it has read itself.
 */

import { DecodeError, type Mistake } from "../errors.ts";

export type HelperCommand =
  /** Reads the configuration again; answered with `configuration`. */
  | { readonly command: "read" }
  /** Reads the files of `check file`; answered with `checked`. */
  | { readonly command: "check files" }
  /** For the Demoter of the configuration. */
  | { readonly command: "demote"; readonly demoted: boolean; readonly isMaster: boolean }
  /** For the IKE daemons of the configuration. */
  | { readonly command: "ike"; readonly duty: "active" | "passive"; readonly epoch: number }
  /** Bytes in hex for charon, in a conversation of that number, see ViciRelay; and its end. */
  | { readonly command: "vici"; readonly id: number; readonly bytes: string }
  | { readonly command: "hang up"; readonly id: number }
  /** OpenBSD: what only root can see; answered with `seen` of that number. */
  | { readonly command: "look"; readonly id: number; readonly at: Sight }
  /** The daemon ends: all is given back; answered with `left`. */
  | { readonly command: "leave" };

export type HelperAnswer =
  | { readonly answer: "log"; readonly level: HelperLogLevel; readonly text: string }
  | { readonly answer: "configuration"; readonly reading: ConfigReading }
  | { readonly answer: "checked"; readonly lines: readonly string[] }
  | { readonly answer: "vici"; readonly id: number; readonly bytes: string }
  | { readonly answer: "vici closed"; readonly id: number; readonly reason: string }
  | { readonly answer: "seen"; readonly id: number; readonly bytes: string }
  | { readonly answer: "unseen"; readonly id: number; readonly call: string; readonly errno: string }
  | { readonly answer: "left" };

/** The kernel's two tables, as sysctl(3) gives them; and the number (u32) and if_data of the carp(4) interface. */
const SIGHTS = ["sadb", "spd", "link"] as const;
export type Sight = typeof SIGHTS[number];

export type HelperLogLevel = "error" | "notice" | "state" | "detail" | "trace";

/** The configuration as it was read, or what is wrong with it. */
export type ConfigReading =
  | {
    readonly file: string;
    /** Contents of the configuration and of its key files, in hex, by path. */
    readonly contents: Readonly<Record<string, string>>;
    /** Addresses of the host names in it, in hex; for one that could not be resolved, the error. */
    readonly hosts: Readonly<Record<string, readonly string[] | { readonly error: string }>>;
  }
  | { readonly mistakes: readonly Mistake[] };

/** The longest command, and the longest answer: the SADB of 50,000 SAs, in hex. */
export const MOST_COMMAND_BYTES = 16 * 1024;
export const MOST_ANSWER_BYTES = 64 * 1024 * 1024;

/** What may wait for either process to read it. */
export const MOST_WAITING_COMMANDS = 1024 * 1024;
export const MOST_WAITING_ANSWERS = 2 * MOST_ANSWER_BYTES;

const HEX = /^(?:[0-9a-f]{2})*$/;

/** A command, of whoever may have sent it. @throws {DecodeError} */
export function parseHelperCommand(value: unknown): HelperCommand {
  const fields = typeof value === "object" && value !== null ? { ...value } : {};
  const { command, demoted, isMaster, duty, epoch, id, bytes, at }: Record<string, unknown> = fields;
  if (command === "read" || command === "check files" || command === "leave") return { command };
  if (command === "demote" && typeof demoted === "boolean" && typeof isMaster === "boolean") {
    return { command, demoted, isMaster };
  }
  const isDuty = duty === "active" || duty === "passive";
  if (command === "ike" && isDuty && isCount(epoch)) return { command, duty, epoch };
  if (command === "hang up" && isCount(id)) return { command, id };
  if (command === "vici" && isCount(id) && typeof bytes === "string" && HEX.test(bytes)) {
    return { command, id, bytes };
  }
  const sight = SIGHTS.find((one) => one === at);
  if (command === "look" && isCount(id) && sight !== undefined) return { command, id, at: sight };
  throw new DecodeError("command", "is none that the helper knows");
}

function isCount(value: unknown): value is number {
  return typeof value === "number" && Number.isSafeInteger(value) && value >= 0;
}

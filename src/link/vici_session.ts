/**
 * A conversation with charon over vici, without I/O: what is said is a generator that yields packets and is given
 * the replies, one command at a time as the protocol demands. Used by the control of strongSwan.
 */

import { DecodeError, IkeError } from "../errors.ts";
import {
  CMD_REQUEST,
  CMD_RESPONSE,
  decodeViciPacket,
  encodeViciPacket,
  EVENT,
  EVENT_CONFIRM,
  EVENT_REGISTER,
  ViciFrames,
  type ViciPacket,
  type ViciSection,
} from "./vici.ts";

/** Yields what is to be sent, and is given the packet that answers it. */
export type ViciTalk<T> = Generator<ViciAsk, T, ViciPacket>;

/** A packet, and who takes the events that come before its answer. */
export interface ViciAsk {
  readonly packet: ViciPacket;
  readonly onEvent?: (message: ViciSection) => void;
}

const NOTHING: ViciSection = new Map();

/** Has a command carried out. @returns the response. @throws {IkeError} when charon does not know the command. */
export function* command(
  name: string,
  values: Readonly<Record<string, string>>,
  onEvent?: (message: ViciSection) => void,
): ViciTalk<ViciSection> {
  const message = new Map(Object.entries(values));
  const answer = yield { packet: { type: CMD_REQUEST, name, message }, onEvent };
  if (answer.type !== CMD_RESPONSE) throw new IkeError(`charon does not know the command ${name}`);
  return answer.message;
}

/**
 * Has a command carried out whose results come as events. `pick` takes from each what is wanted.
 *
 * @throws {IkeError} when charon does not know the event or the command.
 */
export function* list<T>(
  name: string,
  event: string,
  values: Readonly<Record<string, string>>,
  pick: (message: ViciSection) => readonly T[],
): ViciTalk<readonly T[]> {
  const { type } = yield { packet: { type: EVENT_REGISTER, name: event, message: NOTHING } };
  if (type !== EVENT_CONFIRM) throw new IkeError(`charon does not know the event ${event}`);
  const picked: T[] = [];
  yield* command(name, values, (message) => picked.push(...pick(message)));
  return picked;
}

/** Why a command has failed; undefined: it has not. */
export function failureOf(response: ViciSection): string | undefined {
  return response.get("success") === "yes" ? undefined : textOf(response, "errmsg") ?? "no reason given";
}

/** A value of a section that is text; undefined when it is missing or none. */
export function textOf(section: ViciSection, name: string): string | undefined {
  const value = section.get(name);
  return typeof value === "string" ? value : undefined;
}

/** The sections within a section, with their names. */
export function sectionsOf(section: ViciSection): readonly (readonly [name: string, section: ViciSection])[] {
  return [...section].flatMap(([name, value]) => value instanceof Map ? [[name, value] as const] : []);
}

/** Drives one conversation over a stream of bytes. */
export class ViciSession {
  readonly #frames = new ViciFrames();
  #ask: ViciAsk | undefined;
  #output: Uint8Array;

  constructor(private readonly talk: ViciTalk<void>) {
    this.#output = this.#go(talk.next());
  }

  /** What is to be sent next. */
  get output(): Uint8Array {
    return this.#output;
  }

  /** Whether all has been said and answered. */
  get isOver(): boolean {
    return this.#ask === undefined;
  }

  /** The first `length` bytes of the output have been sent. */
  sent(length: number): void {
    this.#output = this.#output.subarray(length);
  }

  /** Takes what has been received. @throws {DecodeError} for what is not vici. @throws {IkeError} as the talk does. */
  receive(chunk: Uint8Array): void {
    this.#frames.push(chunk);
    for (let frame = this.#frames.next(); frame !== undefined; frame = this.#frames.next()) {
      this.#take(decodeViciPacket(frame));
    }
  }

  #take(packet: ViciPacket): void {
    const ask = this.#ask;
    if (ask === undefined || this.#output.length > 0) {
      throw new DecodeError("vici packet", `type ${packet.type} answers nothing`);
    }
    if (packet.type === EVENT) ask.onEvent?.(packet.message);
    else this.#output = this.#go(this.talk.next(packet));
  }

  #go({ done, value }: IteratorResult<ViciAsk, void>): Uint8Array {
    this.#ask = done === true || value === undefined ? undefined : value;
    return this.#ask === undefined ? new Uint8Array(0) : encodeViciPacket(this.#ask.packet);
  }
}

/**
 * The helper's side of the conversations that the network process has with charon: packets go to charon when they ask
 * for the lists of connections and of SAs (which have no keys), or to initiate or rekey a child, and for nothing else,
 * for vici can also load a connection with a script that charon runs as root.
 */

import { DecodeError, SyscallError } from "../errors.ts";
import { concat } from "../layout/concat.ts";
import {
  CMD_REQUEST,
  decodeViciPacket,
  encodeViciPacket,
  EVENT_REGISTER,
  EVENT_UNREGISTER,
  ViciFrames,
  type ViciPacket,
} from "../link/vici.ts";
import type { ByteStream, Fd, Interest, LocalDoors, Readiness } from "../ports.ts";
import type { HelperAnswer } from "./helper_messages.ts";

/** Bytes read in one turn. */
const READ_BYTES = 64 * 1024;

/** Rekeying in time and negotiating anew each have one. */
const MOST_TALKS = 2;

/** What may be asked for: `list-conn` and `list-sa` are the events that tell of one. */
const ALLOWED: Readonly<Record<number, readonly string[]>> = {
  [CMD_REQUEST]: ["list-conns", "list-sas", "initiate", "rekey"],
  [EVENT_REGISTER]: ["list-conn", "list-sa"],
  [EVENT_UNREGISTER]: ["list-conn", "list-sa"],
};

export interface ViciRelayOptions {
  readonly doors: Pick<LocalDoors, "connect">;
  /** charon's vici socket; undefined: strongSwan is not configured. */
  readonly path: string | undefined;
  readonly tell: (answer: HelperAnswer) => void;
}

/** A conversation. */
interface Talk {
  readonly stream: ByteStream;
  readonly frames: ViciFrames;
  unsent: Uint8Array;
}

export class ViciRelay {
  readonly #talks = new Map<number, Talk>();

  constructor(private readonly options: ViciRelayOptions) {}

  /** Bytes for charon in conversation `id`; a new number begins a new one. @throws {DecodeError} for what is not allowed. */
  send(id: number, bytes: Uint8Array): void {
    const talk = this.#talks.get(id) ?? this.#begin(id);
    if (talk === undefined) return;
    talk.frames.push(bytes);
    for (let frame = talk.frames.next(); frame !== undefined; frame = talk.frames.next()) pass(talk, frame);
    this.#flush(id, talk);
  }

  hangUp(id: number): void {
    this.#talks.get(id)?.stream.close();
    this.#talks.delete(id);
  }

  get interests(): readonly Interest[] {
    return [...this.#talks.values()].map(({ stream, unsent }) => ({
      fd: stream.fd,
      read: true,
      write: unsent.length > 0,
    }));
  }

  tick(ready: ReadonlyMap<Fd, Readiness>): void {
    for (const [id, talk] of this.#talks) {
      if (!ready.has(talk.stream.fd) || !this.#flush(id, talk)) continue;
      const received = talk.stream.receive(READ_BYTES);
      if (received.kind === "data") this.options.tell({ answer: "vici", id, bytes: received.bytes.toHex() });
      else if (received.kind === "closed") this.#fail(id, received.reason);
    }
  }

  #begin(id: number): Talk | undefined {
    const { doors, path } = this.options;
    if (path === undefined) throw new DecodeError("vici packet", "for a charon that is not configured");
    const [oldest] = this.#talks.keys();
    if (oldest !== undefined && this.#talks.size >= MOST_TALKS) this.#fail(oldest, "too many conversations");
    try {
      const talk: Talk = { stream: doors.connect(path), frames: new ViciFrames(), unsent: new Uint8Array(0) };
      this.#talks.set(id, talk);
      return talk;
    } catch (error) {
      if (!(error instanceof SyscallError)) throw error;
      this.#fail(id, error.message);
      return undefined;
    }
  }

  /** @returns whether the conversation goes on */
  #flush(id: number, talk: Talk): boolean {
    if (talk.unsent.length === 0) return true;
    const sent = talk.stream.send(talk.unsent);
    if (sent === "closed") this.#fail(id, "EPIPE");
    else talk.unsent = talk.unsent.subarray(sent);
    return sent !== "closed";
  }

  #fail(id: number, reason: string): void {
    this.hangUp(id);
    this.options.tell({ answer: "vici closed", id, reason });
  }
}

/** @throws {DecodeError} when it is not allowed. */
function pass(talk: Talk, frame: Uint8Array): void {
  const packet = decodeViciPacket(frame);
  if (ALLOWED[packet.type]?.includes(packet.name) !== true) {
    throw new DecodeError("vici packet", `of type ${packet.type} is not passed on`);
  }
  talk.unsent = concat(talk.unsent, encodeAgain(packet));
}

/** @throws {DecodeError} also when its text is not UTF-8, which makes it longer, or sections are nested too deep. */
function encodeAgain(packet: ViciPacket): Uint8Array {
  try {
    return encodeViciPacket(packet);
  } catch (error) {
    if (error instanceof RangeError) throw new DecodeError("vici packet", `to ${packet.name} has no form`);
    throw error;
  }
}

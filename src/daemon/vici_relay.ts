/**
 * The helper's side of a conversation that the network process has with charon: packets go to charon when they ask
 * for the lists of connections and of SAs (which have no keys), or to initiate or rekey a child, and for nothing else,
 * for vici can also load a connection with a script that charon runs as root.
 */

import { DecodeError, SyscallError } from "../errors.ts";
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

export class ViciRelay {
  /** The conversation: one at a time. */
  #talk: { readonly id: number; readonly stream: ByteStream; readonly frames: ViciFrames } | undefined;
  #unsent: Uint8Array = new Uint8Array(0);

  constructor(private readonly options: ViciRelayOptions) {}

  /** Bytes for charon in conversation `id`; a new number begins a new one. @throws {DecodeError} for what is not allowed. */
  send(id: number, bytes: Uint8Array): void {
    if (this.#talk?.id !== id) this.#begin(id);
    if (this.#talk === undefined) return;
    const { frames } = this.#talk;
    frames.push(bytes);
    for (let frame = frames.next(); frame !== undefined; frame = frames.next()) this.#pass(frame);
    this.#flush();
  }

  hangUp(id: number): void {
    if (this.#talk?.id === id) this.#close();
  }

  get interests(): readonly Interest[] {
    if (this.#talk === undefined) return [];
    return [{ fd: this.#talk.stream.fd, read: true, write: this.#unsent.length > 0 }];
  }

  tick(ready: ReadonlyMap<Fd, Readiness>): void {
    if (this.#talk === undefined || !ready.has(this.#talk.stream.fd)) return;
    const { id, stream } = this.#talk;
    this.#flush();
    if (this.#talk === undefined) return;
    const received = stream.receive(READ_BYTES);
    if (received.kind === "data") this.options.tell({ answer: "vici", id, bytes: received.bytes.toHex() });
    else if (received.kind === "closed") this.#fail(id, received.reason);
  }

  #begin(id: number): void {
    this.#close();
    const { doors, path } = this.options;
    if (path === undefined) throw new DecodeError("vici packet", "for a charon that is not configured");
    try {
      this.#talk = { id, stream: doors.connect(path), frames: new ViciFrames() };
    } catch (error) {
      if (!(error instanceof SyscallError)) throw error;
      this.#fail(id, error.message);
    }
  }

  #pass(frame: Uint8Array): void {
    const packet = decodeViciPacket(frame);
    if (ALLOWED[packet.type]?.includes(packet.name) !== true) {
      throw new DecodeError("vici packet", `of type ${packet.type} is not passed on`);
    }
    const encoded = encodeAgain(packet);
    const joined = new Uint8Array(this.#unsent.length + encoded.length);
    joined.set(this.#unsent);
    joined.set(encoded, this.#unsent.length);
    this.#unsent = joined;
  }

  #flush(): void {
    if (this.#talk === undefined || this.#unsent.length === 0) return;
    const sent = this.#talk.stream.send(this.#unsent);
    if (sent === "closed") this.#fail(this.#talk.id, "EPIPE");
    else this.#unsent = this.#unsent.subarray(sent);
  }

  #fail(id: number, reason: string): void {
    this.#close();
    this.options.tell({ answer: "vici closed", id, reason });
  }

  #close(): void {
    this.#talk?.stream.close();
    this.#talk = undefined;
    this.#unsent = new Uint8Array(0);
  }
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

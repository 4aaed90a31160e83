/** One conversation with charon over its vici socket, as a step of a control: what IkeControl asks of a try. */

import { IkeError } from "../errors.ts";
import { ViciSession, type ViciTalk } from "../link/vici_session.ts";
import type { ByteStream, Interest, LocalDoors } from "../ports.ts";

/** Bytes read in one turn. */
const READ_BYTES = 64 * 1024;

export class ViciTry {
  readonly #stream: ByteStream;
  readonly #session: ViciSession;
  #hasHeard = false;

  /** @throws {SyscallError} when nobody listens there. */
  constructor(doors: Pick<LocalDoors, "connect">, path: string, talk: ViciTalk<void>) {
    this.#stream = doors.connect(path);
    this.#session = new ViciSession(talk);
  }

  get interest(): Interest {
    return { fd: this.#stream.fd, read: true, write: this.#session.output.length > 0 };
  }

  /** Whether the last `proceed` has received something. */
  get hasHeard(): boolean {
    return this.#hasHeard;
  }

  /** @returns whether all has been said. @throws {SyscallError | DecodeError | IkeError} */
  proceed(): boolean {
    this.#send();
    const received = this.#stream.receive(READ_BYTES);
    if (received.kind === "closed") {
      throw new IkeError(`charon has closed the connection (${received.reason})`);
    }
    this.#hasHeard = received.kind === "data";
    if (received.kind === "data") this.#session.receive(received.bytes);
    this.#send();
    return this.#session.isOver;
  }

  close(): void {
    this.#stream.close();
  }

  #send(): void {
    if (this.#session.output.length === 0) return;
    const sent = this.#stream.send(this.#session.output);
    if (sent === "closed") throw new IkeError("charon has closed the connection");
    this.#session.sent(sent);
  }
}

/** Tells OpenBSD's iked(8) whether it is to act: an imsg to its control socket, which it never answers. */

import { IkeError } from "../errors.ts";
import { encodeImsg, IMSG_CTL_ACTIVE, IMSG_CTL_PASSIVE } from "../link/imsg.ts";
import type { ByteStream, IkeControl, IkeOrder, Interest, LocalDoors } from "../ports.ts";

const IKED_SOCKET = "/var/run/iked.sock";

export class IkedControl implements IkeControl {
  readonly name = "iked";
  readonly patienceMs = 5000;
  readonly owes = false;
  #stream: ByteStream | undefined;
  #unsent: Uint8Array = new Uint8Array(0);

  constructor(private readonly doors: LocalDoors) {}

  repeatMs(): number {
    return Infinity;
  }

  get interest(): Interest | undefined {
    return this.#stream === undefined ? undefined : { fd: this.#stream.fd, read: false, write: true };
  }

  begin({ duty }: IkeOrder): void {
    this.#unsent = encodeImsg(duty === "active" ? IMSG_CTL_ACTIVE : IMSG_CTL_PASSIVE);
    this.#stream = this.doors.connect(IKED_SOCKET);
  }

  proceed(): boolean {
    if (this.#stream === undefined) return false;
    const sent = this.#stream.send(this.#unsent);
    if (sent === "closed") throw new IkeError("iked has closed the connection");
    this.#unsent = this.#unsent.subarray(sent);
    return this.#unsent.length === 0;
  }

  cancel(): void {
    this.#stream?.close();
    this.#stream = undefined;
  }
}

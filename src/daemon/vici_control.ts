/** What all controls that speak with charon over vici share: at most one try, which is one conversation. */

import type { ViciTalk } from "../link/vici_session.ts";
import type { IkeControl, IkeOrder, Interest, LocalDoors } from "../ports.ts";
import { ViciTry } from "./vici_try.ts";

/** The way to charon. */
export interface ViciAccess {
  /** charon's vici socket. */
  readonly path: string;
  readonly doors: Pick<LocalDoors, "connect">;
}

export abstract class ViciControl implements IkeControl {
  abstract readonly name: string;
  readonly patienceMs = 5000;
  readonly #access: ViciAccess;
  /** undefined: none is under way, or there was nothing to be said. */
  #try: ViciTry | undefined;

  constructor(access: ViciAccess) {
    this.#access = access;
  }

  get owes(): boolean {
    return false;
  }

  abstract repeatMs(order: IkeOrder): number;

  /** What is to be said for an order; undefined: nothing now. */
  protected abstract talk(order: IkeOrder): ViciTalk<void> | undefined;

  begin(order: IkeOrder): void {
    const talk = this.talk(order);
    if (talk !== undefined) this.#try = new ViciTry(this.#access.doors, this.#access.path, talk);
  }

  get interest(): Interest | undefined {
    return this.#try?.interest;
  }

  proceed(): boolean {
    return this.#try?.proceed() ?? true;
  }

  get hasHeard(): boolean {
    return this.#try?.hasHeard === true;
  }

  cancel(): void {
    this.#try?.close();
    this.#try = undefined;
  }
}

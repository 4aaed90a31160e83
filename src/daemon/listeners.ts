/** The sockets that the daemon listens on, brought to what the configuration says. */

import { SyscallError } from "../errors.ts";
import type { Log } from "../log/verbosity.ts";
import type { Listener, Transport } from "../ports.ts";
import { formatAddress } from "../record/address.ts";
import type { Listening } from "./resolve_config.ts";

/** One place to listen at; without a listener when the system lacks it, and nobody asked for it by name. */
interface Place {
  readonly at: Listening;
  readonly listener: Listener | undefined;
}

export class Listeners {
  #places: readonly Place[] = [];

  constructor(private readonly transport: Pick<Transport, "listen">, private readonly log: Log) {}

  /** Those that are open now. */
  get open(): readonly Listener[] {
    return this.#places.flatMap(({ listener }) => listener ?? []);
  }

  /**
   * Listens there and nowhere else; what was listened at before stays open.
   *
   * @throws {SyscallError} when one of them cannot be had; then the places are those of before, but some have been
   * opened anew: see `open`.
   */
  set(listening: readonly Listening[]): readonly Listener[] {
    const [kept, gone] = [
      this.#places.filter(isIn(listening)),
      this.#places.filter((one) => !isIn(listening)(one)),
    ];
    const fresh = listening.filter((at) => !kept.some((place) => nameOf(place.at) === nameOf(at)));
    for (const { listener } of gone) listener?.close(); // before: one may stand in the way of another
    try {
      this.#places = [...kept, ...this.#openAll(fresh)];
    } catch (error) {
      this.#places = [...kept, ...gone.flatMap(({ at }) => this.#openAgain(at))];
      throw error;
    }
    return this.open;
  }

  /** Nothing when another has taken the place meanwhile: the next `set` tries it again. */
  #openAgain(at: Listening): readonly Place[] {
    try {
      return this.#openAll([at]);
    } catch (error) {
      if (!(error instanceof SyscallError)) throw error;
      this.log.error(`not listening any more: ${error.message}`);
      return [];
    }
  }

  #openAll(listening: readonly Listening[]): Place[] {
    const places: Place[] = [];
    try {
      for (const at of listening) places.push({ at, listener: this.#open(at) });
    } catch (error) {
      for (const { listener } of places) listener?.close();
      throw error;
    }
    return places;
  }

  #open(at: Listening): Listener | undefined {
    try {
      return this.transport.listen(at);
    } catch (error) {
      if (!at.optional || !(error instanceof SyscallError) || error.errno !== "EAFNOSUPPORT") throw error;
      this.log.detail(`not listening: ${error.message}`);
      return undefined;
    }
  }
}

function isIn(listening: readonly Listening[]): (place: Place) => boolean {
  const names = new Set(listening.map(nameOf));
  return ({ at }) => names.has(nameOf(at));
}

function nameOf({ address, port }: Listening): string {
  return `${formatAddress(address)} ${port}`;
}

/**
 * Tells strongSwan's charon over vici whether it is to act. Passive: its trap policies are taken from it and what it
 * is setting up by itself is ended; its connections stay, so it would answer. Active: the traps come back. SAs that
 * stand are never touched. charon tells nobody which connections have traps by configuration, so this keeps them.
 */

import { IkeError } from "../errors.ts";
import { type ViciSection } from "../link/vici.ts";
import {
  command,
  failureOf,
  list,
  sectionsOf,
  textOf,
  ViciSession,
  type ViciTalk,
} from "../link/vici_session.ts";
import type { Log } from "../log/verbosity.ts";
import type { ByteStream, IkeControl, IkeOrder, Interest, LocalDoors } from "../ports.ts";

/** Bytes read in one turn. */
const READ_BYTES = 64 * 1024;

/** How soon a charon that was started or loaded on a slave is made passive again. */
const REPEAT_MS = 10_000;

/** How charon refuses to install the trap of a connection that was unloaded. */
const NOT_CONFIGURED = /name not found/;

/** A child of a connection, as `install` and `uninstall` take it. */
interface Trap {
  readonly child: string;
  readonly ike: string;
}

export class StrongswanControl implements IkeControl {
  readonly name = "strongswan";
  readonly patienceMs = 5000;
  /** The traps that charon has no more because it is passive, by its name for them. */
  readonly #taken = new Map<string, Trap>();
  #try: { readonly stream: ByteStream; readonly session: ViciSession } | undefined;

  /** `path`: charon's vici socket. */
  constructor(readonly path: string, private readonly doors: LocalDoors, private readonly log: Log) {}

  repeatMs({ duty }: IkeOrder): number {
    return duty === "passive" ? REPEAT_MS : Infinity;
  }

  get owes(): boolean {
    return this.#taken.size > 0;
  }

  begin({ duty }: IkeOrder): void {
    const stream = this.doors.connect(this.path);
    const talk = {
      passive: () => this.#rest(),
      active: () => this.#act(),
      left: () => this.#install(this.#taken),
    };
    this.#try = { stream, session: new ViciSession(talk[duty]()) };
  }

  get interest(): Interest | undefined {
    if (this.#try === undefined) return undefined;
    const { stream: { fd }, session } = this.#try;
    return { fd, read: true, write: session.output.length > 0 };
  }

  proceed(): boolean {
    if (this.#try === undefined) return false;
    const { stream, session } = this.#try;
    send(stream, session);
    const received = stream.receive(READ_BYTES);
    if (received.kind === "closed") {
      throw new IkeError(`charon has closed the connection (${received.reason})`);
    }
    if (received.kind === "data") session.receive(received.bytes);
    send(stream, session);
    return session.isOver;
  }

  cancel(): void {
    this.#try?.stream.close();
    this.#try = undefined;
  }

  *#rest(): ViciTalk<void> {
    for (const [name, trap] of yield* listTraps()) {
      this.#taken.set(name, trap); // before it is done: what a try that is given up has asked for may be done yet
      const failure = failureOf(yield* command("uninstall", { ...trap }));
      if (failure !== undefined) throw new IkeError(`charon does not uninstall the trap ${name}: ${failure}`);
      this.log.detail(`strongswan: trap ${name} is uninstalled`);
    }
    yield* this.#endAttempts();
  }

  /** Ends the negotiations that charon has begun and that are not through: they have no SAs yet. */
  *#endAttempts(): ViciTalk<void> {
    const stats = new Map(sectionsOf(yield* command("stats", {})));
    const sas = stats.get("ikesas");
    if (sas !== undefined && textOf(sas, "half-open") === "0") return; // spares a list of thousands
    for (const id of yield* list("list-sas", "list-sa", {}, attemptsOf)) {
      // a failure means that it has come to its end by itself
      const failure = failureOf(yield* command("terminate", { "ike-id": id, timeout: "-1" }));
      if (failure === undefined) this.log.detail(`strongswan: IKE SA ${id}, not established yet, is ended`);
    }
  }

  /** Those that charon still has too: their policies may have made room for the old master's. */
  *#act(): ViciTalk<void> {
    yield* this.#install(new Map([...this.#taken, ...yield* listTraps()]));
  }

  *#install(traps: ReadonlyMap<string, Trap>): ViciTalk<void> {
    const failures: string[] = [];
    for (const [name, trap] of [...traps]) {
      const failure = failureOf(yield* command("install", { ...trap }));
      const isGone = failure !== undefined && NOT_CONFIGURED.test(failure);
      if (failure === undefined) this.log.detail(`strongswan: trap ${name} is installed`);
      else if (isGone) this.log.state(`strongswan: trap ${name} is not configured any more`);
      else failures.push(`${name}: ${failure}`);
      if (failure === undefined || isGone) this.#taken.delete(name);
    }
    if (failures.length === 0) return;
    throw new IkeError(`charon does not install ${failures.length} traps, of these ${failures[0]}`);
  }
}

function* listTraps(): ViciTalk<readonly (readonly [name: string, trap: Trap])[]> {
  return yield* list("list-policies", "list-policy", { trap: "yes" }, trapsOf);
}

function trapsOf(message: ViciSection): readonly (readonly [name: string, trap: Trap])[] {
  return sectionsOf(message).flatMap(([name, policy]) => {
    const [child, ike] = [textOf(policy, "child"), textOf(policy, "ike")];
    return child === undefined || ike === undefined ? [] : [[name, { child, ike }] as const];
  });
}

/** Ids of the IKE SAs that charon has begun to negotiate and that are not established. */
function attemptsOf(message: ViciSection): readonly string[] {
  return sectionsOf(message).flatMap(([, sa]) => {
    const isAttempt = textOf(sa, "state") === "CONNECTING" && textOf(sa, "initiator") === "yes";
    return isAttempt ? textOf(sa, "uniqueid") ?? [] : [];
  });
}

function send(stream: ByteStream, session: ViciSession): void {
  if (session.output.length === 0) return;
  const sent = stream.send(session.output);
  if (sent === "closed") throw new IkeError("charon has closed the connection");
  session.sent(sent);
}

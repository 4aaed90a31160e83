/**
 * Another configuration for a daemon that runs (SIGHUP, `sasyncd reload`): reads it, brings it to those whom it
 * concerns, and names what it cannot change. A bad file changes nothing. Used by the gateway, once a turn.
 */

import type { Config } from "../config/config.ts";
import { ConfigError, KernelReplyError, SyscallError } from "../errors.ts";
import type { Log } from "../log/verbosity.ts";
import type { Listener, RoleTracker } from "../ports.ts";
import type { Answer, ControlCommand } from "./control_server.ts";
import { type Listening, type Resolved, ResolveError } from "./resolve_config.ts";

/** A configuration, and the addresses that its names stand for. */
export interface Configuration {
  readonly config: Config;
  readonly resolved: Resolved;
}

/** What a reload needs of the world. */
export interface ReloadPorts {
  /** Reads the configuration. @throws {ConfigError | ResolveError | SyscallError} when it is not to be used. */
  reread(): Promise<Configuration>;
  /** Listens there and nowhere else. @throws {SyscallError} and then `listeners` tells what is open. */
  listen(listening: readonly Listening[]): readonly Listener[];
  /** Those that are open. */
  listeners(): readonly Listener[];
  /** @throws {SyscallError | ResolveError} when what it names cannot be followed */
  openTracker(config: Config): RoleTracker;
}

export interface ReloadOptions {
  readonly ports: ReloadPorts;
  readonly log: Log;
  /** What the daemon was started with. */
  readonly configuration: Configuration;
  /** A configuration is going to be read. */
  begins(): void;
  /** A configuration is read, or cannot be: `tick` has to be called. */
  wake(): void;
  /** Brings it to everybody; cannot fail. `tracker`: undefined when the one that there is stays. */
  apply(next: Configuration, listeners: readonly Listener[], tracker: RoleTracker | undefined): void;
}

/** Settings that only another start of the daemon changes, by their statements. */
const FIXED = {
  kernel: "kernel",
  pfkey: "pfkey",
  group: "group",
  flushMode: "flushmode",
  control: "control",
  renegotiatePerSecond: "renegotiate",
  controlSocket: "control socket",
  user: "user",
  demoteFile: "demote file",
  metrics: "metrics",
  checkFiles: "check file",
} as const satisfies Partial<Record<keyof Config, string>>;

/** How one reading of the configuration ended; undefined: it has not. */
interface Reading {
  answer?: Answer;
}

export class Reload {
  #current: Configuration;
  #reading: Reading | undefined;
  /** What is to be read after that. */
  #next: Reading | undefined;
  #found: Configuration | Error | undefined;

  constructor(private readonly options: ReloadOptions) {
    this.#current = options.configuration;
  }

  /** What the daemon goes by. */
  get current(): Configuration {
    return this.#current;
  }

  /** A configuration is being read. */
  get isReading(): boolean {
    return this.#reading !== undefined;
  }

  /** Begins to read the configuration; while that is under way, once more after it: the file may be another by now. */
  begin(): Reading {
    if (this.#reading !== undefined) return this.#next ??= {};
    return this.#read({});
  }

  #read(reading: Reading): Reading {
    this.options.begins();
    const end = (found: Configuration | Error) => {
      this.#found = found;
      this.options.wake();
    };
    this.options.ports.reread().then(
      end,
      (error: unknown) => end(error instanceof Error ? error : Error(`${error}`)),
    );
    return this.#reading = reading;
  }

  /** `sasyncd reload` for the control server. */
  command(): ControlCommand {
    return () => {
      const reading = this.begin();
      return { proceed: () => reading.answer === undefined ? [] : [reading.answer] };
    };
  }

  /** Applies what has been read meanwhile. */
  tick(): void {
    const [found, reading, next] = [this.#found, this.#reading, this.#next];
    if (found === undefined || reading === undefined) return;
    this.#found = this.#reading = this.#next = undefined;
    this.#end(reading, found);
    if (next !== undefined) this.#read(next);
  }

  #end(reading: Reading, found: Configuration | Error): void {
    const problem = found instanceof Error ? found : this.#try(found);
    if (problem === undefined) {
      this.options.log.notice("configuration read again");
      reading.answer = { ok: true };
      return;
    }
    if (!isExpected(problem)) throw problem;
    this.options.log.error("the configuration stays as it was:");
    for (const line of problem.message.split("\n")) this.options.log.error(line);
    reading.answer = { ok: false, reason: problem.message };
  }

  /** @returns why not, and then nothing has changed */
  #try(found: Configuration): Error | undefined {
    const { ports, apply } = this.options;
    const before = this.#current;
    const next = this.#possible(found);
    try {
      const isOther = trackingOf(next) !== trackingOf(before);
      const tracker = isOther ? ports.openTracker(next.config) : undefined;
      const listeners = this.#listen(next, tracker);
      apply(next, listeners, tracker);
      this.#current = next;
      return undefined;
    } catch (error) {
      if (error instanceof Error && isExpected(error)) return error;
      throw error;
    }
  }

  /** After a failure too the listeners may be others than before. */
  #listen({ resolved }: Configuration, tracker: RoleTracker | undefined): readonly Listener[] {
    const { ports, apply } = this.options;
    try {
      return ports.listen(resolved.listening);
    } catch (error) {
      tracker?.close();
      apply(this.#current, ports.listeners(), undefined);
      throw error;
    }
  }

  /** What can be had of a configuration without another start; the rest is named, and stays. */
  #possible({ config, resolved }: Configuration): Configuration {
    const { config: old, resolved: oldResolved } = this.#current;
    const names = (Object.keys(FIXED) as (keyof typeof FIXED)[]).filter((name) =>
      // its keys are its own
      JSON.stringify(config[name]) !== JSON.stringify(old[name])
    );
    const kept = Object.fromEntries(names.map((name) => [name, old[name]]));
    const { classicPeers } = oldResolved;
    const isClassic = JSON.stringify(classicPeers) !== JSON.stringify(resolved.classicPeers);
    const changed = [...names.map((name) => FIXED[name]), ...isClassic ? ["peers of protocol classic"] : []];
    if (changed.length > 0) this.options.log.notice(`only at the next start: ${changed.join(", ")}`);
    return { config: { ...config, ...kept }, resolved: { ...resolved, classicPeers } };
  }
}

/** What a tracker is made from, as text. */
function trackingOf({ config: { mode, interface: name, virtualAddress } }: Configuration): string {
  return JSON.stringify([mode, name, virtualAddress?.toHex()]);
}

/** What a configuration can be refused for; everything else is a fault of ours. */
function isExpected(error: Error): boolean {
  return [ConfigError, ResolveError, SyscallError, KernelReplyError].some((kind) => error instanceof kind);
}

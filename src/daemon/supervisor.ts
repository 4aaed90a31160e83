/**
 * Tells the service manager how it goes, as sd_notify(3) has it: ready, reloading, a line of status, and that the loop
 * still goes round. Called by the gateway, once a turn.
 */

/** How often at most the line of status is told. */
const STATUS_MS = 1000;

export interface SupervisorOptions {
  /** Sends lines `NAME=VALUE`; never waits. */
  readonly notify: (text: string) => void;
  /** Without a word for so long the service manager takes this process for dead; undefined: it does not. */
  readonly watchdogMs: number | undefined;
}

/** How things stand, for `STATUS=`. */
export interface Standing {
  readonly role: string;
  readonly epoch: number;
  readonly connected: number;
  readonly peers: number;
  /** A configuration is being read. */
  readonly isReloading: boolean;
}

export class Supervisor {
  #state: "starting" | "ready" | "reloading" = "starting";
  #status = "";
  #statusAtMs = -Infinity;
  #aliveAtMs = -Infinity;

  constructor(private readonly options: SupervisorOptions) {}

  /** The loop has gone round. @returns when it has to be called again at the latest. */
  tick(standing: Standing, nowMs: number): number {
    if (this.#state !== "ready" && !standing.isReloading) {
      this.#state = "ready";
      this.options.notify("READY=1");
    }
    this.#tellStatus(standing, nowMs);
    return this.#tellAlive(nowMs);
  }

  /** A configuration is going to be read. */
  reloading(): void {
    this.#state = "reloading";
    this.options.notify("RELOADING=1");
  }

  /** This process ends, as it was told to. */
  stopping(): void {
    this.options.notify("STOPPING=1");
  }

  #tellStatus({ role, epoch, connected, peers }: Standing, nowMs: number): void {
    const status = `${role} in epoch ${epoch}, ${connected} of ${peers} peers connected`;
    if (status === this.#status || nowMs - this.#statusAtMs < STATUS_MS) return;
    this.#status = status;
    this.#statusAtMs = nowMs;
    this.options.notify(`STATUS=${status}`);
  }

  /** Twice in the time, as sd_watchdog_enabled(3) wants it. */
  #tellAlive(nowMs: number): number {
    const { watchdogMs, notify } = this.options;
    if (watchdogMs === undefined) return Infinity;
    if (nowMs - this.#aliveAtMs >= watchdogMs / 2) {
      this.#aliveAtMs = nowMs;
      notify("WATCHDOG=1");
    }
    return this.#aliveAtMs + watchdogMs / 2;
  }
}

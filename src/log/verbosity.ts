/**
 * The log as all parts of the daemon see it: one method for each degree of importance, after the original's
 * verbosity levels. Put on the loggers of @std/log.
 */

import { type BaseHandler, getLogger, type LevelName, setup } from "@std/log";

/** A message, or a function that makes it, called only when it is logged. Never any key or decrypted payload. */
export type LogMessage = string | (() => string);

/** Where to say what. Each method's messages appear from the verbosity in brackets on (`-v` raises it by one). */
export interface Log {
  /** Something failed (0). */
  error(message: LogMessage): void;
  /** Not a failure, but the operator must see it (0). */
  notice(message: LogMessage): void;
  /** State changes, control errors, peers coming and going (1). */
  state(message: LogMessage): void;
  /** Configuration, initialisation, kernel, network, crypto without keys, timers (2). */
  detail(message: LogMessage): void;
  /** Everything else, down to single messages (3). */
  trace(message: LogMessage): void;
}

/** The level of the logger at each verbosity; the last one goes for all above. */
const LEVELS: readonly [LevelName, ...LevelName[]] = ["WARN", "INFO", "DEBUG"];

/** A log that can be made to say more or less. */
export interface AdjustableLog extends Log {
  /** `verbosity` as in openLog. */
  adjust(verbosity: number): void;
}

/** Sends the log of the whole process to `handler`. `verbosity` counts the `-v`. */
export function openLog(handler: BaseHandler, verbosity: number): AdjustableLog {
  let logger = makeLogger(handler, verbosity);
  return {
    adjust(other) {
      verbosity = other;
      logger = makeLogger(handler, verbosity);
    },
    error: (message) => void logger.error(() => textOf(message)),
    notice: (message) => void logger.warn(() => textOf(message)),
    state: (message) => void logger.info(() => textOf(message)),
    detail: (message) => void logger.debug(() => textOf(message)),
    trace: (message) => {
      if (verbosity >= 3) logger.debug(() => textOf(message));
    },
  };
}

function makeLogger(handler: BaseHandler, verbosity: number): ReturnType<typeof getLogger> {
  const level = LEVELS[Math.min(verbosity, LEVELS.length - 1)] ?? LEVELS[0];
  setup({ handlers: { out: handler }, loggers: { default: { level, handlers: ["out"] } } });
  return getLogger();
}

function textOf(message: LogMessage): string {
  return typeof message === "function" ? message() : message;
}

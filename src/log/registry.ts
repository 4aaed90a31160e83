/** The loggers and handlers in use, as @std/log keeps them: once for the process. */

import type { BaseHandler } from "./base_handler.ts";
import type { LevelName } from "./levels.ts";
import { Logger } from "./logger.ts";

/** How a logger is set up; the level is INFO where none is given. */
export interface LoggerConfig {
  level?: LevelName;
  /** Names of handlers of the same LogConfig. */
  handlers?: string[];
}

/** What `setup` takes. */
export interface LogConfig {
  handlers?: { [name: string]: BaseHandler };
  loggers?: { [name: string]: LoggerConfig };
}

const handlers = new Map<string, BaseHandler>();
const loggers = new Map<string, Logger>();

/** Replaces all loggers and handlers. Unlike @std/log, there is no handler for the console. */
export function setup(config: LogConfig): void {
  for (const handler of handlers.values()) handler.destroy();
  handlers.clear();
  for (const [name, handler] of Object.entries(config.handlers ?? {})) {
    handler.setup();
    handlers.set(name, handler);
  }
  loggers.clear();
  for (const [name, logger] of Object.entries({ default: {}, ...config.loggers })) {
    loggers.set(name, makeLogger(name, logger));
  }
}

function makeLogger(name: string, { level = "INFO", handlers: names = [] }: LoggerConfig): Logger {
  const used = names.map((handler) => handlers.get(handler)).filter((handler) => handler !== undefined);
  return new Logger(name, level, { handlers: used });
}

/** The logger of that name; one without handlers where `setup` did not name it. Without a name: the default one. */
export function getLogger(name = "default"): Logger {
  const known = loggers.get(name);
  if (known !== undefined) return known;
  const logger = new Logger(name, "NOTSET");
  loggers.set(name, logger);
  return logger;
}

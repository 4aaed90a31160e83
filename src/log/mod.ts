/**
 * The used part of `@std/log`, under whose name deno.json maps it: that package was removed from the standard library
 * (its last release is 0.224.14). Mapping the name to the genuine package works too.
 */

export * from "./base_handler.ts";
export * from "./levels.ts";
export * from "./log_record.ts";
export * from "./logger.ts";
export * from "./registry.ts";

/**
 * The codecs of sasyncd as a library: the byte engine, portable records, Linux XFRM, PF_KEY and both protocols.
 * Importing it has no side effect and needs no permission.
 */

export * from "./src/errors.ts";
export * from "./src/layout/mod.ts";
/** Names of its own, for some are those of XFRM. */
export * as pfkey from "./src/pfkey/mod.ts";
export * from "./src/record/mod.ts";
export * from "./src/wire/classic/mod.ts";
export * from "./src/wire/native/mod.ts";
export * from "./src/xfrm/mod.ts";

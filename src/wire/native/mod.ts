/** The native protocol: messages and their bytes, and the session that carries them. */

export { CATALOG, decodeMessages, encodeMessage, encodeMessages } from "./catalog.ts";
export * from "./message.ts";
export * from "./noise.ts";
export * from "./psk.ts";
export * from "./session.ts";

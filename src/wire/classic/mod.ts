/** The classic protocol: frames, messages and the codec of a connection. */

export * from "./codec.ts";
export { type ClassicMessage, CONTROL, type ReceivedMessage } from "./message.ts";
export { MAX_PLAIN_BYTES } from "./frames.ts";

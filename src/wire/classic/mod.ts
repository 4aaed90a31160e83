/** The classic protocol: messages, and the codec of a connection. */

export { ClassicCodec } from "./codec.ts";
export type { ClassicMessage, ReceivedMessage } from "./message.ts";

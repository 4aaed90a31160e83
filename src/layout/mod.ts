/** The byte engine: layouts, bounded reader, checked writer. */

export * from "./byte_order.ts";
export * from "./concat.ts";
export * from "./layout.ts";
export * from "./reader.ts";
export * from "./writer.ts";

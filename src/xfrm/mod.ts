/** Linux XFRM: kernel messages and portable records, both ways. */

export * from "./aevent.ts";
export * from "./constants.ts";
export * from "./events.ts";
export * from "./policy.ts";
export * from "./refusal.ts";
export * from "./requests.ts";
export * from "./sa.ts";
export * from "./structs.ts";
export * from "./surroundings.ts";

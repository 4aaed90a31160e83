/** The portable record: SAs, policies, their identity and their binary form. */

export * from "./address.ts";
export * from "./algorithms.ts";
export * from "./digest.ts";
export * from "./encoding.ts";
export * from "./opaque.ts";
export * from "./policy.ts";
export * from "./progress.ts";
export * from "./record.ts";
export * from "./sa.ts";

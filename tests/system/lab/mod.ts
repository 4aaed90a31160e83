/** The laboratory's library for scenarios, tests/system/scenarios/NAME_test.ts. */

export * from "./capture.ts";
export * from "./charon.ts";
export * from "./host.ts";
export * from "./keepalived.ts";
export * from "./kernel.ts";
export * from "./network.ts";
export * from "./node.ts";
export * from "./process.ts";
export * from "./sasyncd.ts";
export * from "./scenario.ts";
export * from "./setkey.ts";
export * from "./step.ts";

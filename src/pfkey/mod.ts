/** PF_KEY of Linux, OpenBSD and FreeBSD: messages and portable records, both ways. */

export * from "./dialect.ts";
export * from "./extensions.ts";
export * from "./freebsd.ts";
export * from "./linux.ts";
export * from "./message.ts";
export * from "./openbsd.ts";

/** Which errors have a message for the operator, and how the others are told. */

import { ConfigError, DecodeError, KernelReplyError, PeerError, SyscallError } from "../errors.ts";
import { ResolveError } from "../daemon/resolve_config.ts";

/** Errors with a message for the operator; everything else is a fault of ours and shows its stack. */
export function isExpected(error: unknown): error is Error {
  return [ConfigError, DecodeError, ResolveError, SyscallError, KernelReplyError, PeerError].some((kind) =>
    error instanceof kind
  );
}

/** A fault of ours, with the place where it happened: by now nobody may be left to read it but the log. */
export function faultOf(error: unknown): string {
  return error instanceof Error ? error.stack ?? error.message : `${error}`;
}

/**
 * The errors of sasyncd, one class for each kind of handling: configuration (exit 1), decoding (never fatal to
 * the daemon), peer (close the session, try again), system call, and kernel reply.
 */

/** One mistake in a configuration file. `line` counts from 1; 0 stands for the file as a whole. */
export interface Mistake {
  readonly file: string;
  readonly line: number;
  readonly message: string;
}

/** The configuration cannot be used. Carries every mistake found; handled by main: print each, exit 1. */
export class ConfigError extends Error {
  override readonly name = "ConfigError";

  constructor(readonly mistakes: readonly Mistake[]) {
    super(mistakes.map(formatMistake).join("\n"));
  }
}

/** Prints a mistake the way compilers do, `file:line: message`. */
export function formatMistake({ file, line, message }: Mistake): string {
  return line === 0 ? `${file}: ${message}` : `${file}:${line}: ${message}`;
}

/** Bytes that do not have the shape of `struct`. Handled by whoever asked: drop the message or close the peer. */
export class DecodeError extends Error {
  override readonly name = "DecodeError";

  constructor(readonly struct: string, readonly detail: string) {
    super(`Cannot decode ${struct}: ${detail}`);
  }
}

/** The session with a peer has to end. `reason` is said in BYE where the session can still speak, and logged. */
export class PeerError extends Error {
  override readonly name = "PeerError";

  constructor(readonly reason: string) {
    super(reason);
  }
}

/** An IKE daemon has not done what it was asked to. Handled by who asked: ask again later. */
export class IkeError extends Error {
  override readonly name = "IkeError";
}

/** A system call failed. `errno` is the name (`ENOBUFS`), `code` the number on this system. */
export class SyscallError extends Error {
  override readonly name = "SyscallError";

  constructor(readonly call: string, readonly errno: string, readonly code: number) {
    super(`Cannot ${call}: ${errno}`);
  }
}

/** The kernel refused a request. `request` is the message's C name, `errno` the error's name. */
export class KernelReplyError extends Error {
  override readonly name = "KernelReplyError";

  constructor(readonly request: string, readonly errno: string, readonly detail = "") {
    super(`Kernel refused ${request}: ${errno}${detail === "" ? "" : ` (${detail})`}`);
  }
}

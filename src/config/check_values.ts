/** Checks of single words of the configuration: each says what is wrong with one, or undefined. */

import { familyOf, isAnyAddress, parseAddress, parsePrefix } from "../record/address.ts";
import { RESERVED_WORDS } from "./cursor.ts";
import { didYouMean } from "./nearest.ts";
import { quoteWord } from "./quote_word.ts";

/** IFNAMSIZ less the end of the string, on all systems; of the characters those that are in use. */
const INTERFACE_NAME = /^[\w.@+-]{1,15}$/;
/** As useradd(8) of all systems allows. */
const USER_NAME = /^[A-Za-z_][\w.-]{0,31}$/;
const HOST_NAME = /^\w[\w.-]{0,252}$/;

/** A name of an interface or of a group of interfaces. */
export function nameProblem(word: string): string | undefined {
  if (RESERVED_WORDS.includes(word)) return `"${word}" is a keyword and cannot be a name`;
  return INTERFACE_NAME.test(word)
    ? undefined
    : `${quoteWord(word)} is not the name of an interface or group`;
}

/** A name of an account. */
export function userProblem(word: string): string | undefined {
  return USER_NAME.test(word) ? undefined : `${quoteWord(word)} is not the name of a user`;
}

/** An address or host name; where `orInterface`, also the name of an interface. */
export function hostProblem(word: string, orInterface: boolean): string | undefined {
  if (RESERVED_WORDS.includes(word)) return `"${word}" is a keyword and cannot be a name`;
  if (parseAddress(word) !== undefined) return undefined;
  if (word.includes(":")) return `${quoteWord(word)} is not an IPv6 address`;
  if (/^[\d.]+$/.test(word)) return `${quoteWord(word)} is not an IPv4 address`;
  if (HOST_NAME.test(word) || (orInterface && INTERFACE_NAME.test(word))) return undefined;
  return `${quoteWord(word)} is not an address or ${
    orInterface ? "the name of a host or interface" : "host name"
  }`;
}

/** A family as `listen on` takes it, for that target. */
export function familyProblem(family: string | undefined, target: string): string | undefined {
  if (family === undefined) return undefined;
  const problem = choiceProblem(family, ["inet", "inet6"]);
  if (problem !== undefined) return problem;
  const address = parseAddress(target);
  const given = family === "inet" ? 4 : 6;
  if (address === undefined || familyOf(address) === given) return undefined;
  return `${quoteWord(target)} is not an ${family} address`;
}

/** A TCP port in decimal, 1 to 65535. */
export function portProblem(word: string | undefined): string | undefined {
  if (word === undefined || (/^\d{1,5}$/.test(word) && Number(word) >= 1 && Number(word) <= 65535)) {
    return undefined;
  }
  return `the port must be 1 to 65535, not ${quoteWord(word)}`;
}

/** One of a few words. */
export function choiceProblem(word: string, known: readonly string[]): string | undefined {
  if (known.includes(word)) return undefined;
  const list = known.length === 1 ? known[0] : `${known.slice(0, -1).join(", ")} or ${known.at(-1)}`;
  return `must be ${list}, not ${quoteWord(word)}${didYouMean(word, known)}`;
}

/** Bits of a truncated HMAC-SHA-256. */
export function truncationProblem(word: string | undefined): string | undefined {
  return word === "96" || word === "128"
    ? undefined
    : `the truncation must be 96 or 128, not ${quoteWord(word ?? "")}`;
}

/** The path of a Unix socket: absolute, one word of ASCII, and no longer than any system takes. */
export function socketProblem(word: string): string | undefined {
  return /^\/[!-"$-~]{1,102}$/.test(word)
    ? undefined
    : `the socket must have an absolute path of at most 103 characters, not ${quoteWord(word)}`;
}

/** `off`, or how many in a second: 0.01 to 100, with two decimals at most. */
export function renegotiateProblem(word: string): string | undefined {
  const rate = /^\d{1,3}(\.\d{1,2})?\/s$/.test(word) ? Number.parseFloat(word) : NaN;
  return rate >= 0.01 && rate <= 100
    ? undefined
    : `must be off or a rate from 0.01/s to 100/s, not ${quoteWord(word)}`;
}

/** A command: an absolute path, and what is to stand before the arguments that the daemon adds. */
export function commandProblem(text: string): string | undefined {
  if (!text.trimStart().startsWith("/")) return "the command must begin with an absolute path";
  // deno-lint-ignore no-control-regex -- control characters are what is looked for
  if (/["#\x00-\x08\x0e-\x1f\x7f]/.test(text)) {
    return "quotes, hash marks and control characters cannot be in the command";
  }
  return undefined;
}

/** `ADDRESS` or `ADDRESS/LEN`. */
export function prefixProblem(word: string): string | undefined {
  if (parsePrefix(word) !== undefined) return undefined;
  const [address = ""] = word.split("/");
  if (parseAddress(address) === undefined) return `${quoteWord(word)} is not an address or prefix`;
  return `${quoteWord(word)} has a bad prefix length, or bits set after it`;
}

/** The address that the gateways share. */
export function virtualAddressProblem(word: string | undefined): string | undefined {
  if (word === undefined) return undefined;
  const address = parseAddress(word);
  if (address === undefined) return `${quoteWord(word)} is not an address`;
  return isAnyAddress(address) ? "all zeros is nobody's address" : undefined;
}

/** An absolute path (the daemon has no folder that it works in) that is one word without control characters. */
export function filePathProblem(word: string): string | undefined {
  return /^\/[^\s#\p{Cc}]*[^\s#/\p{Cc}]$/u.test(word)
    ? undefined
    : `the file must have an absolute path, not ${quoteWord(word)}`;
}

/**
 * What keepalived adds to a priority (keepalived.conf(5), track_file): beyond 253 it means nothing more, below -253 it
 * means FAULT, which would take the address from a node that has it. 0 would say nothing.
 */
export function demoteWeightProblem(word: string | undefined): string | undefined {
  if (word === undefined || (/^\d{1,3}$/.test(word) && Number(word) >= 1 && Number(word) <= 253)) {
    return undefined;
  }
  return `the weight must be 1 to 253, not ${quoteWord(word)}`;
}

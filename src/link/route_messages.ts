/** Messages of OpenBSD's routing socket (route(4)), as far as they tell that an interface has changed. LP64. */

import { DecodeError } from "../errors.ts";
import { bytes, Layout, u16, u8 } from "../layout/layout.ts";
import { Reader } from "../layout/reader.ts";

export const RTM_IFINFO = 0x0e;
export const RTM_IFANNOUNCE = 0x0f;
/** The socket's queue was full: messages are lost. */
export const RTM_DESYNC = 0x10;

/** Other versions have other layouts. */
const RTM_VERSION = 5;

/** What all messages begin with, 8 bytes; `msglen` counts the whole message. In `if_msghdr` and `if_announcemsghdr`. */
const rtMsghdr = new Layout("rt_msghdr", 8, {
  msglen: u16,
  version: u8,
  type: u8,
  hdrlen: u16,
  index: u16,
});

/** What `struct if_announcemsghdr` (26 bytes) has after that. `what`: 0 arrival, 1 departure. */
const ifAnnounce = new Layout("if_announcemsghdr", 18, { what: u16, name: bytes(16) });

/** Which interface has changed; how, is to be asked for. */
export type RouteMessage =
  | { readonly kind: "info"; readonly index: number }
  /** It has come or gone. */
  | { readonly kind: "announce"; readonly index: number; readonly name: string }
  | { readonly kind: "desync" };

/**
 * The messages of one read that tell of interfaces.
 *
 * @throws {DecodeError} when a stated length does not fit.
 */
export function splitRouteMessages(datagram: Uint8Array): RouteMessage[] {
  const messages: RouteMessage[] = [];
  for (let rest = datagram; rest.length > 0;) {
    const { msglen } = rtMsghdr.read(new Reader(rest, rtMsghdr.name));
    if (msglen < rtMsghdr.size || msglen > rest.length) {
      throw new DecodeError(rtMsghdr.name, `length ${msglen}, have ${rest.length} bytes`);
    }
    const message = decodeMessage(new Reader(rest.subarray(0, msglen), rtMsghdr.name));
    if (message !== undefined) messages.push(message);
    rest = rest.subarray(msglen);
  }
  return messages;
}

function decodeMessage(reader: Reader): RouteMessage | undefined {
  const { version, type, index } = rtMsghdr.read(reader);
  if (version !== RTM_VERSION) return undefined;
  if (type === RTM_DESYNC) return { kind: "desync" };
  if (type === RTM_IFINFO) return { kind: "info", index };
  if (type === RTM_IFANNOUNCE) return { kind: "announce", index, name: cut(ifAnnounce.read(reader).name) };
  return undefined;
}

function cut(name: Uint8Array): string {
  const end = name.indexOf(0);
  return new TextDecoder().decode(end < 0 ? name : name.subarray(0, end));
}

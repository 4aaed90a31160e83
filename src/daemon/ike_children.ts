/** What charon's lists say of children that can be initiated from here, and of the SAs that it has itself. */

import type { Child, Net } from "../core/renegotiation.ts";
import { sectionsOf, textOf } from "../link/vici_session.ts";
import type { ViciSection } from "../link/vici.ts";
import { isAnyAddress, parseAddress, parsePrefix } from "../record/address.ts";

/**
 * The children of a `list-conn` event. A connection whose peer may come from anywhere, or that names hosts or
 * prefixes, has none.
 */
export function childrenOf(message: ViciSection): readonly Child[] {
  return sectionsOf(message).flatMap(([ike, connection]) => {
    const locals = listOf(connection, "local_addrs").filter((text) => !isAny(text)).map(parseAddress);
    const remotes = listOf(connection, "remote_addrs").map(parseAddress);
    const children = connection.get("children");
    if (remotes.length === 0 || !(children instanceof Map)) return [];
    if (!isWhole(locals) || !isWhole(remotes) || remotes.some(isAnyAddress)) return [];
    return sectionsOf(children).flatMap(([child, section]) => {
      const localNets = listOf(section, "local-ts").map(netOf);
      const remoteNets = listOf(section, "remote-ts").map(netOf);
      const isTunnel = ["TUNNEL", "TRANSPORT", "BEET"].includes(textOf(section, "mode") ?? "");
      if (!isTunnel || !isWhole(localNets) || !isWhole(remoteNets)) return [];
      return { ike, child, locals, remotes, localNets, remoteNets };
    });
  });
}

/** A child that charon has negotiated itself. */
export interface OwnChild {
  /** As `rekey` takes it. */
  readonly id: string;
  readonly spiOut: number;
}

/** The children of a `list-sa` event. */
export function ownChildrenOf(message: ViciSection): readonly OwnChild[] {
  return sectionsOf(message).flatMap(([, ike]) => {
    const children = ike.get("child-sas");
    if (!(children instanceof Map)) return [];
    return sectionsOf(children).map(([, child]) => ({
      id: textOf(child, "uniqueid") ?? "",
      spiOut: Number.parseInt(textOf(child, "spi-out") ?? "", 16),
    }));
  });
}

/** The SPIs of the outbound SAs of a `list-sa` event. */
export function outboundSpisOf(message: ViciSection): readonly number[] {
  return ownChildrenOf(message).map(({ spiOut }) => spiOut);
}

function isAny(text: string): boolean {
  const address = parseAddress(text);
  return text.startsWith("%any") || address !== undefined && isAnyAddress(address);
}

/** undefined: one with a protocol or ports, or a range. */
function netOf(text: string): Net | undefined {
  return text === "dynamic" ? text : parsePrefix(text);
}

function isWhole<T>(values: readonly (T | undefined)[]): values is readonly T[] {
  return values.every((value) => value !== undefined);
}

function listOf(section: ViciSection, name: string): readonly string[] {
  const value = section.get(name);
  return Array.isArray(value) ? value : [];
}

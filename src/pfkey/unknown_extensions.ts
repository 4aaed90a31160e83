/**
 * Extensions of later kernels ↔ opaque attributes. What is in them is not known, so it stays in the byte order in which
 * it came, which a first byte tells.
 */

import type { OpaqueAttribute } from "../record/opaque.ts";
import { addOpaque } from "./extensions.ts";
import { type ExtensionWriter, type Platform, sadbExt, WORD_BYTES } from "./message.ts";
import { Refusal } from "./refusal.ts";

const ORDER_MARKS = { little: 1, big: 2 } as const;

/** Numbers of attributes have 12 bits. */
const GREATEST_TYPE = 0xfff;

/** The attribute of that number for a whole extension. @throws {Refusal} for a number that no attribute can have. */
export function unknownAttribute(
  space: OpaqueAttribute["space"],
  type: number,
  extension: Uint8Array,
  { order }: Platform,
): OpaqueAttribute {
  if (type > GREATEST_TYPE) throw new Refusal(`attribute ${type}, which is not known`);
  const value = Uint8Array.from([ORDER_MARKS[order], ...extension.subarray(sadbExt.size)]);
  return { space, type, critical: true, value };
}

/** Appends the extension. @returns false when its attribute is of another byte order, or not of whole words. */
export function addUnknown(writer: ExtensionWriter, type: number, value: Uint8Array): boolean {
  const isWhole = (value.length - 1 + sadbExt.size) % WORD_BYTES === 0;
  if (value[0] !== ORDER_MARKS[writer.platform.order] || !isWhole) return false;
  addOpaque(writer, type, value.subarray(1));
  return true;
}

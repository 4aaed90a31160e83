/** Byte orders of kernels. Network order is a property of a field, host order of the machine that wrote the bytes. */

/** How host-order fields are laid out. */
export type ByteOrder = "little" | "big";

/** The order of the machine that runs this program. */
export const HOST_ORDER: ByteOrder = new Uint8Array(new Uint16Array([1]).buffer)[0] === 1 ? "little" : "big";

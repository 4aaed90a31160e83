/** The algorithms and keys of an SA: the XFRMA_ALG_* attributes. */

import { attributeHead, type NetlinkAttributes } from "../layout/netlink.ts";
import { Reader } from "../layout/reader.ts";
import { Slab } from "../layout/slab.ts";
import type { Writer } from "../layout/writer.ts";
import type { Cipher, Compression, Integrity, Sa } from "../record/sa.ts";
import { aeads, ciphers, compressions, integrities } from "./algorithms.ts";
import {
  XFRMA_ALG_AEAD,
  XFRMA_ALG_AUTH,
  XFRMA_ALG_AUTH_TRUNC,
  XFRMA_ALG_COMP,
  XFRMA_ALG_CRYPT,
} from "./constants.ts";
import { Refusal } from "./refusal.ts";
import { xfrmAlgo, xfrmAlgoAead, xfrmAlgoAuth } from "./structs.ts";

/** The members of an SA that these attributes hold. */
type Algorithms = Pick<Sa, "encryption" | "integrity" | "aead" | "compression">;

/** @throws {DecodeError} @throws {Refusal} for keys that cannot be copied. */
export function readAlgorithms(attributes: NetlinkAttributes): Algorithms {
  return {
    encryption: readCipher(attributes.get(XFRMA_ALG_CRYPT)),
    integrity: readIntegrity(attributes.get(XFRMA_ALG_AUTH_TRUNC), attributes.get(XFRMA_ALG_AUTH)),
    aead: readAead(attributes.get(XFRMA_ALG_AEAD)),
    compression: readCompression(attributes.get(XFRMA_ALG_COMP)),
  };
}

function readCipher(value: Uint8Array | undefined): Cipher | undefined {
  if (value === undefined) return undefined;
  const reader = new Reader(value, "XFRMA_ALG_CRYPT");
  const { name, keyBits } = xfrmAlgo.read(reader);
  return { id: ciphers.fromKernel(name), keyBits, key: readKey(reader, keyBits) };
}

/** ALG_AUTH_TRUNC says all; kernels before 2.6.33 have only ALG_AUTH, which does not tell the truncation. */
function readIntegrity(value: Uint8Array | undefined, old: Uint8Array | undefined): Integrity | undefined {
  if (value === undefined) {
    if (old !== undefined) throw new Refusal("integrity without the length of its ICV");
    return undefined;
  }
  const reader = new Reader(value, "XFRMA_ALG_AUTH_TRUNC");
  const { name, keyBits, icvBits } = xfrmAlgoAuth.read(reader);
  return { id: integrities.fromKernel(name, icvBits), keyBits, key: readKey(reader, keyBits), icvBits };
}

function readAead(value: Uint8Array | undefined): Integrity | undefined {
  if (value === undefined) return undefined;
  const reader = new Reader(value, "XFRMA_ALG_AEAD");
  const { name, keyBits, icvBits } = xfrmAlgoAead.read(reader);
  return { id: aeads.fromKernel(name, icvBits), keyBits, key: readKey(reader, keyBits), icvBits };
}

function readCompression(value: Uint8Array | undefined): Compression | undefined {
  if (value === undefined) return undefined;
  return { id: compressions.fromKernel(xfrmAlgo.read(new Reader(value, "XFRMA_ALG_COMP")).name) };
}

/** A dump holds as many as there are SAs. */
const keys = new Slab();

function readKey(reader: Reader, keyBits: number): Uint8Array {
  const key = keys.copy(reader.bytes(Math.ceil(keyBits / 8)));
  if (keyBits % 8 !== 0) throw new Refusal(`key of ${keyBits} bits`);
  if (keyBits > 0 && key.every((byte) => byte === 0)) {
    throw new Refusal("the kernel blanks keys (lockdown: confidentiality), nothing can be copied");
  }
  return key;
}

/** @throws {Refusal} for an algorithm that Linux does not have. */
export function writeAlgorithms(
  writer: Writer,
  { encryption, integrity, aead, compression }: Algorithms,
): void {
  if (aead !== undefined) {
    writeWithIcv(writer, XFRMA_ALG_AEAD, xfrmAlgoAead, aeads.toKernel(aead.id, aead.icvBits), aead);
  }
  if (integrity !== undefined) {
    const name = integrities.toKernel(integrity.id, integrity.icvBits);
    writeWithIcv(writer, XFRMA_ALG_AUTH_TRUNC, xfrmAlgoAuth, name, integrity);
  }
  if (encryption !== undefined) {
    writeAlgorithm(writer, XFRMA_ALG_CRYPT, ciphers.toKernel(encryption.id), encryption);
  }
  if (compression !== undefined) {
    writeAlgorithm(writer, XFRMA_ALG_COMP, compressions.toKernel(compression.id), NO_KEY);
  }
}

const NO_KEY = { keyBits: 0, key: new Uint8Array() };

function writeAlgorithm(
  writer: Writer,
  type: number,
  name: string,
  { keyBits, key }: Pick<Cipher, "keyBits" | "key">,
): void {
  attributeHead(writer, type, xfrmAlgo.size + key.length);
  xfrmAlgo.write(writer, { name, keyBits });
  writeKey(writer, keyBits, key);
}

function writeWithIcv(
  writer: Writer,
  type: number,
  layout: typeof xfrmAlgoAuth,
  name: string,
  { keyBits, key, icvBits }: Integrity,
): void {
  attributeHead(writer, type, layout.size + key.length);
  layout.write(writer, { name, keyBits, icvBits });
  writeKey(writer, keyBits, key);
}

function writeKey(writer: Writer, keyBits: number, key: Uint8Array): void {
  if (key.length * 8 !== keyBits) throw new Refusal(`key of ${key.length} bytes for ${keyBits} bits`);
  writer.bytes(key).align(4);
}

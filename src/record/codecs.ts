/** How the members of records are laid out as attribute values. All integers are big-endian. */

import { DecodeError } from "../errors.ts";
import { bytes, type Field, Layout, u16be, u32be, u8 } from "../layout/layout.ts";
import type { Reader } from "../layout/reader.ts";
import type { Writer } from "../layout/writer.ts";
import { type Address, addressBits, anyAddress, type Family, ipv4Of, isAnyAddress } from "./address.ts";
import type { AlgorithmId } from "./algorithms.ts";
import type { Codec } from "./attribute_table.ts";
import type { Template } from "./policy.ts";
import {
  type Cipher,
  type Compression,
  type Encapsulation,
  type Integrity,
  type Limits,
  type Mark,
  PROTOCOL,
  type Protocol,
  type Selector,
} from "./sa.ts";
import { decodeText, encodeText } from "./text.ts";

/** Integers of the layout engine, so that the table names one source of codecs. */
export { u16be, u32be, u8 };

/** 64 bits as bigint. */
export const u64be: Codec<bigint> = {
  read: (reader) => reader.u64be(),
  write: (writer, value) => void writer.u64be(value),
};

/** 4 or 16 bytes that fill the value. */
export const address: Codec<Address> = {
  read: (reader) => readAddress(reader, reader.remaining),
  write: (writer, value) => writeAddress(writer, value),
};

/** Bytes that fill the value. */
export const blob: Codec<Uint8Array> = {
  read: (reader) => reader.rest(),
  write: (writer, value) => void writer.bytes(value),
};

/** u8, one of the synchronised protocols. */
export const protocol: Codec<Protocol> = {
  read(reader) {
    const value = reader.u8();
    const known = Object.values(PROTOCOL).find((candidate) => candidate === value);
    if (known === undefined) throw new DecodeError(reader.struct, `protocol ${value} is not synchronised`);
    return known;
  },
  write: (writer, value) => void writer.u8(value),
};

/** u32be value, u32be mask. */
export const mark: Codec<Mark> = new Layout("mark", 8, { value: u32be, mask: u32be });

/** u16be type, ports and 16 bytes of address. */
export const encapsulation: Codec<Encapsulation> = new Layout("encapsulation", 22, {
  type: u16be,
  srcPort: u16be,
  dstPort: u16be,
  original: bytes(16),
});

/** Algorithm, then the key to the end of the value. */
export const cipher: Codec<Cipher> = {
  read(reader) {
    const id = readAlgorithm(reader);
    return { id, ...readKey(reader) };
  },
  write(writer, value) {
    writeAlgorithm(writer, value.id);
    writeKey(writer, value);
  },
};

/** Algorithm, u16be bits of the ICV, then the key to the end of the value. */
export const integrity: Codec<Integrity> = {
  read(reader) {
    const id = readAlgorithm(reader);
    const icvBits = reader.u16be();
    return { id, ...readKey(reader), icvBits };
  },
  write(writer, value) {
    writeAlgorithm(writer, value.id);
    writer.u16be(value.icvBits);
    writeKey(writer, value);
  },
};

/** Algorithm. */
export const compression: Codec<Compression> = {
  read: (reader) => ({ id: readAlgorithm(reader) }),
  write: (writer, value) => writeAlgorithm(writer, value.id),
};

const LIMIT_KEYS = ["addSeconds", "useSeconds", "bytes", "packets"] as const;

/** u8 bits that say which limits follow (1 addSeconds, 2 useSeconds, 4 bytes, 8 packets), then u64be each. */
export const limits: Codec<Limits> = {
  read(reader) {
    const present = reader.u8();
    if (present >= 1 << LIMIT_KEYS.length) {
      throw new DecodeError(reader.struct, `unknown limits 0x${present.toString(16)}`);
    }
    const given: { -readonly [K in keyof Limits]: Limits[K] } = {};
    for (const [i, key] of LIMIT_KEYS.entries()) {
      if ((present & (1 << i)) !== 0) given[key] = reader.u64be();
    }
    return given;
  },
  write(writer, value) {
    const given = LIMIT_KEYS.map((key) => value[key]);
    writer.u8(given.reduce<number>((bits, limit, i) => limit === undefined ? bits : bits | (1 << i), 0));
    for (const limit of given) if (limit !== undefined) writer.u64be(limit);
  },
};

/** Whether limits say what `{}` says. */
export function hasNoLimits(value: Limits): boolean {
  return LIMIT_KEYS.every((key) => value[key] === undefined);
}

/** u32be words that fill the value. */
export const words: Codec<readonly number[]> = {
  read(reader) {
    const list: number[] = [];
    while (reader.remaining > 0) list.push(reader.u32be());
    return list;
  },
  write(writer, value) {
    for (const word of value) writer.u32be(word);
  },
};

const selectorHead = new Layout("selector", 16, {
  srcPort: u16be,
  srcPortMask: u16be,
  dstPort: u16be,
  dstPortMask: u16be,
  user: u32be,
  srcBits: u8,
  dstBits: u8,
  protocol: u8,
  family: u8 as Field<Family>, // checked by addressLength
});

/** The fixed members, then source and destination (none for family 0), then the interface's name to the end. */
export const selector: Codec<Selector> = {
  read(reader) {
    const head = selectorHead.read(reader);
    const length = addressLength(head.family, reader.struct);
    if (Math.max(head.srcBits, head.dstBits) > (length === 0 ? 128 : length * 8)) {
      throw new DecodeError(reader.struct, "prefix is longer than the address");
    }
    const src = length === 0 ? anyAddress(4) : readAddress(reader, length);
    const dst = length === 0 ? anyAddress(4) : readAddress(reader, length);
    return { ...head, src, dst, ifname: decodeText(reader.rest(), reader.struct) };
  },
  write(writer, value) {
    checkSelector(value);
    selectorHead.write(writer, value);
    if (value.family !== 0) writer.bytes(value.src).bytes(value.dst);
    writer.bytes(encodeText(value.ifname));
  },
};

/** The selector of an SA that has none. */
export const NO_SELECTOR: Selector = {
  family: 0,
  src: anyAddress(4),
  dst: anyAddress(4),
  srcBits: 0,
  dstBits: 0,
  srcPort: 0,
  srcPortMask: 0,
  dstPort: 0,
  dstPortMask: 0,
  protocol: 0,
  ifname: "",
  user: 0,
};

/** Whether a selector says what `NO_SELECTOR` says. */
export function isNoSelector(s: Selector): boolean {
  return s.family === 0 && s.srcBits === 0 && s.dstBits === 0 && s.srcPort === 0 && s.srcPortMask === 0 &&
    s.dstPort === 0 && s.dstPortMask === 0 && s.protocol === 0 && s.ifname === "" && s.user === 0;
}

const templateHead = new Layout("template", 24, {
  spi: u32be,
  reqid: u32be,
  authAlgorithms: u32be,
  encryptionAlgorithms: u32be,
  compressionAlgorithms: u32be,
  protocol: u8,
  mode: u8,
  share: u8,
  family: u8,
});

/** Templates one after the other: the fixed members, u8 optional, u8 length and bytes of both addresses. */
export const templates: Codec<readonly Template[]> = {
  read(reader) {
    const list: Template[] = [];
    while (reader.remaining > 0) list.push(readTemplate(reader));
    return list;
  },
  write(writer, value) {
    for (const template of value) writeTemplate(writer, template);
  },
};

function readTemplate(reader: Reader): Template {
  const head = templateHead.read(reader);
  addressLength(head.family, reader.struct);
  const family = head.family as Family; // just checked
  const flag = reader.u8();
  if (flag > 1) throw new DecodeError(reader.struct, `optional is ${flag}`);
  const dst = readAddress(reader, reader.u8());
  const src = readAddress(reader, reader.u8());
  return { ...head, family, optional: flag === 1, dst, src };
}

function writeTemplate(writer: Writer, template: Template): void {
  templateHead.write(writer, template);
  writer.u8(template.optional ? 1 : 0);
  for (const end of [template.dst, template.src]) {
    writer.u8(end.length);
    writeAddress(writer, end);
  }
}

/** Stands before the name of an algorithm that has no number. */
const NAMED = 0xffff;

/** u16be registry number, or 0xffff, u8 length and the name. */
function readAlgorithm(reader: Reader): AlgorithmId {
  const id = reader.u16be();
  if (id !== NAMED) return id;
  const name = decodeText(reader.bytes(reader.u8()), reader.struct);
  if (name === "") throw new DecodeError(reader.struct, "algorithm has an empty name");
  return name;
}

function writeAlgorithm(writer: Writer, id: AlgorithmId): void {
  if (id === "" || id === NAMED) throw new RangeError(`Cannot encode algorithm "${id}"`);
  if (typeof id === "number") writer.u16be(id);
  else {
    const name = encodeText(id);
    writer.u16be(NAMED).u8(name.length).bytes(name);
  }
}

function readKey(reader: Reader): { keyBits: number; key: Uint8Array } {
  const key = reader.rest();
  return { keyBits: key.length * 8, key };
}

function writeKey(writer: Writer, { key, keyBits }: Cipher): void {
  if (key.length * 8 !== keyBits) {
    throw new RangeError(`Cannot encode a key of ${key.length} bytes: keyBits is ${keyBits}`);
  }
  writer.bytes(key);
}

function readAddress(reader: Reader, length: number): Address {
  if (length === 4) return ipv4Of(reader.u32be());
  if (length !== 16) throw new DecodeError(reader.struct, `address of ${length} bytes`);
  return reader.bytes(length);
}

function writeAddress(writer: Writer, value: Address): void {
  if (value.length !== 4 && value.length !== 16) {
    throw new RangeError(`Cannot encode an address of ${value.length} bytes`);
  }
  writer.bytes(value);
}

function addressLength(family: number, struct: string): number {
  if (family === 0) return 0;
  if (family === 4 || family === 6) return addressBits(family) / 8;
  throw new DecodeError(struct, `unknown family ${family}`);
}

function checkSelector({ family, src, dst }: Selector): void {
  const length = family === 0 ? 4 : addressBits(family) / 8;
  if (src.length !== length || dst.length !== length) {
    throw new RangeError(`Cannot encode selector: addresses do not fit family ${family}`);
  }
  if (family === 0 && !(isAnyAddress(src) && isAnyAddress(dst))) {
    throw new RangeError("Cannot encode selector: addresses without a family");
  }
}

/** The load that all figures are measured with: AES-GCM tunnels of the gateways' virtual address. */

import { SyscallError } from "../../src/errors.ts";
import {
  NLM_F_ACK,
  NLM_F_REQUEST,
  NLMSG_ERROR,
  readVerdict,
  splitDatagram,
  writeMessage,
} from "../../src/layout/netlink.ts";
import { Writer } from "../../src/layout/writer.ts";
import type { KernelSocket } from "../../src/ports.ts";
import { formatAddress, ipv4Of } from "../../src/record/address.ts";
import type { Policy } from "../../src/record/policy.ts";
import type { Sa } from "../../src/record/sa.ts";
import { XFRM_MSG_NEWPOLICY, XFRM_MSG_NEWSA } from "../../src/xfrm/constants.ts";
import { encodePolicy } from "../../src/xfrm/policy.ts";
import type { Encoded } from "../../src/xfrm/refusal.ts";
import { encodeSa } from "../../src/xfrm/sa.ts";
import { samplePolicy, sampleSa, sampleSelector, sampleTemplate } from "../fakes/records.ts";

/** NETLINK_XFRM. */
export const XFRM = 6;

/** Requests in one system call, as the daemon has it. */
const BATCH = 64;
const FIRST_SPI = 0x10000;
const SAS_PER_PEER = 1000;

const SAMPLE = sampleSa({ src: Uint8Array.of(192, 0, 2, 100) });
const AEAD = SAMPLE.aead!;

/** The SA number `index`, of 1,000 for each of its peers. With a key of its own; all else that is alike is shared. */
export function saOf(index: number): Sa {
  const host = 110 + Math.floor(index / SAS_PER_PEER) & 0xff;
  return {
    ...SAMPLE,
    dst: ipv4Of(0xc0000200 + host),
    spi: FIRST_SPI + index,
    aead: { ...AEAD, key: AEAD.key.slice() },
  };
}

/** The policy number `index`: one for each host behind the peers. */
export function policyOf(index: number): Policy {
  const dst = Uint8Array.of(10, 2 + (index >> 16), index >> 8 & 0xff, index & 0xff);
  const ends = { src: Uint8Array.of(192, 0, 2, 100), dst: Uint8Array.of(192, 0, 2, 110 + index % 100) };
  return samplePolicy({
    selector: sampleSelector({ dst, dstBits: 32 }),
    templates: [sampleTemplate(ends)],
  });
}

/** The same as a line for `ip -batch`. */
export function ipLine(index: number): string {
  const { src, dst, spi, aead } = saOf(index);
  const key = [...aead!.key].map((byte) => byte.toString(16).padStart(2, "0")).join("");
  return `xfrm state add src ${formatAddress(src)} dst ${formatAddress(dst)} proto esp spi ${spi} reqid 1 ` +
    `mode tunnel replay-window 32 flag af-unspec aead rfc4106(gcm(aes)) 0x${key} 128`;
}

/** The load has no interfaces and no ages. */
const SURROUNDINGS = { nowSeconds: 0, interfaces: { nameOf: () => undefined, indexOf: () => undefined } };

/** Requests for the SAs from `first` on, 64 in each datagram. */
export function newSaDatagrams(first: number, count: number, portId: number): Uint8Array[] {
  const encode = (i: number) => encodeSa(saOf(first + i), SURROUNDINGS);
  return datagramsOf(XFRM_MSG_NEWSA, count, portId, encode);
}

/** Requests for so many policies, 64 in each datagram. */
export function newPolicyDatagrams(count: number, portId: number): Uint8Array[] {
  const encode = (i: number) => encodePolicy(policyOf(i), SURROUNDINGS);
  return datagramsOf(XFRM_MSG_NEWPOLICY, count, portId, encode);
}

function datagramsOf(
  type: number,
  count: number,
  pid: number,
  encode: (index: number) => Encoded,
): Uint8Array[] {
  const datagrams: Uint8Array[] = [];
  for (let done = 0; done < count; done += BATCH) {
    const writer = new Writer();
    for (let i = done; i < Math.min(count, done + BATCH); i++) {
      const encoded = encode(i);
      if (!encoded.ok) throw new TypeError(`Cannot encode number ${i}: ${encoded.reason}`);
      writeMessage(writer, { type, flags: NLM_F_REQUEST | NLM_F_ACK, seq: i + 1, pid }, encoded.body);
    }
    datagrams.push(writer.finish());
  }
  return datagrams;
}

/** Reads the `count` acknowledgements that a send has left. @throws {SyscallError | Error} when one is none, or missing */
export function readAcks(socket: KernelSocket, count: number): void {
  for (let left = count; left > 0;) {
    const received = socket.receive();
    if (received.kind !== "data") throw new Error(`${left} of ${count} acknowledgements are missing`);
    for (const message of splitDatagram(received.bytes)) {
      if (message.type !== NLMSG_ERROR) continue;
      const { errno, text } = readVerdict(message);
      if (errno !== 0) {
        throw new SyscallError(`add number ${message.seq - 1} (${text})`, `errno ${errno}`, errno);
      }
      left--;
    }
  }
}

/** How many requests the datagram number `index` of `count` requests has. */
export function requestsIn(index: number, count: number): number {
  return Math.min(BATCH, count - index * BATCH);
}

/** What went over the wire: tcpdump in a node, and its file read again, for the numbers that ESP packets bear. */

import { assert } from "@std/assert";
import type { Node } from "./node.ts";
import type { Process } from "./process.ts";

/** Headers of a record in a file of tcpdump, of Ethernet. */
const RECORD = 16;
const ETHERNET = 14;

/** An ESP packet, or one of IKE (`spi` 0). Half a million of them fit: what is asked for is read from the file's bytes. */
export class Captured {
  constructor(readonly file: DataView<ArrayBuffer>, readonly offset: number, readonly length: number) {}

  get spi(): number {
    return this.#isEsp ? this.file.getUint32(this.#payload) : 0;
  }

  get seq(): number {
    return this.#isEsp ? this.file.getUint32(this.#payload + 4) : 0;
  }

  /** Hardware address of who sent it. */
  get sender(): string {
    return this.frame.slice(6, 12).toHex();
  }

  get src(): string {
    return this.frame.slice(26, 30).join(".");
  }

  get frame(): Uint8Array<ArrayBuffer> {
    return new Uint8Array(this.file.buffer, this.#start, this.length);
  }

  /** Seconds since 1970. */
  get at(): number {
    return this.file.getUint32(this.offset, true) + this.file.getUint32(this.offset + 4, true) / 1e6;
  }

  get #start(): number {
    return this.offset + RECORD;
  }

  get #isEsp(): boolean {
    return this.file.getUint8(this.#start + ETHERNET + 9) === 50;
  }

  get #payload(): number {
    return this.#start + ETHERNET + 4 * (this.file.getUint8(this.#start + ETHERNET) & 15);
  }
}

/** tcpdump at the client: all ESP and IKE of both directions. */
export class Capture {
  private constructor(readonly process: Process, readonly file: string) {}

  static #count = 0;

  /** `bytes`: how much of each packet; all of it, when it is to be sent again. */
  static async start(node: Node, bytes = 0): Promise<Capture> {
    const file = `${node.folder}/${++Capture.#count}.pcap`;
    const filter = "esp or udp port 500";
    const process = node.spawn(
      "tcpdump",
      "-Z",
      "root",
      "-i",
      "pub",
      "-B",
      "8192",
      "-s",
      `${bytes}`,
      "-w",
      file,
      filter,
    );
    await process.waitForLine(/listening on/);
    return new Capture(process, file);
  }

  /** Ends it. @returns what it has seen; none may be missing */
  async stop(): Promise<Captured[]> {
    await this.process.end("SIGINT");
    assert(this.process.lines.some((line) => /^0 packets dropped by kernel/.test(line)), this.process.tail());
    return readCapture(this.file);
  }
}

/** A file of tcpdump (little endian, Ethernet, IPv4). */
function readCapture(file: string): Captured[] {
  const bytes = Deno.readFileSync(file);
  const view = new DataView(bytes.buffer);
  const found: Captured[] = [];
  for (let at = 24; at + RECORD <= bytes.length;) {
    const packet = new Captured(view, at, view.getUint32(at + 8, true));
    found.push(packet);
    at += RECORD + packet.length;
  }
  return found;
}

/** The packets that were sent again: same SPI, same sequence number (of which ESN shows the lower half only). */
export function repeated(packets: readonly Captured[]): Captured[] {
  const seen = new Map<number, Set<number>>();
  return packets.filter(({ spi, seq }) => {
    const numbers = seen.get(spi);
    if (numbers === undefined) seen.set(spi, new Set([seq]));
    const isRepeated = spi !== 0 && numbers?.has(seq) === true;
    numbers?.add(seq);
    return isRepeated;
  });
}

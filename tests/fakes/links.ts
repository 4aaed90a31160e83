/**
 * Interfaces and addresses of a Linux host in memory, with the two sockets of the address tracker: events that overrun,
 * dumps in two parts that changes interrupt, answers that are lost.
 */

import { Writer } from "../../src/layout/writer.ts";
import {
  NLM_F_DUMP,
  NLM_F_DUMP_INTR,
  NLM_F_MULTI,
  NLMSG_DONE,
  NLMSG_ERROR,
  splitDatagram,
  writeAttribute,
  writeAttributeU32,
  writeMessage,
} from "../../src/layout/netlink.ts";
import {
  ifaddrmsg,
  ifinfomsg,
  RTM_DELADDR,
  RTM_DELLINK,
  RTM_GETLINK,
  RTM_NEWADDR,
  RTM_NEWLINK,
} from "../../src/link/interfaces.ts";
import type { KernelSocket, Received } from "../../src/ports.ts";
import type { Address } from "../../src/record/address.ts";
import { addr } from "./records.ts";

const IFLA_IFNAME = 3;
const IFA_LOCAL = 2;
const IFA_ADDRESS = 1;
const IFA_FLAGS = 8;
const IFF_UP = 0x1;
const IFF_RUNNING = 0x40;
const ENODEV = 19;
/** Datagrams that a socket of events holds. */
const EVENTS_HELD = 1500;

interface FakeLink {
  readonly index: number;
  name: string;
  flags: number;
  readonly addresses: Map<string, number>;
}

/** A socket whose queue the fake fills. */
class FakeSocket implements KernelSocket {
  readonly portId = 5;
  queue: Received[] = [];
  /** Datagrams received. */
  reads = 0;

  constructor(readonly fd: number, readonly answer: (bytes: Uint8Array) => void) {}

  send(bytes: Uint8Array): void {
    this.answer(bytes);
  }

  receive(): Received {
    const received = this.queue.shift();
    if (received !== undefined) this.reads++;
    return received ?? { kind: "empty" };
  }

  close(): void {}
}

export class FakeLinks {
  readonly events = new FakeSocket(11, () => {
    throw new Error("nothing is sent on the socket of events");
  });
  readonly requests = new FakeSocket(12, (bytes) => this.#answer(bytes));
  /** Dumps that a change interrupts from now on. */
  interruptions = 0;
  /** The next answer finds no room. */
  losesAnswer = false;
  /** Requests so far. */
  asked = 0;
  readonly #links: FakeLink[] = [];
  #lastIndex = 0;

  add(name: string, flags = IFF_UP | IFF_RUNNING): void {
    const link: FakeLink = { index: ++this.#lastIndex, name, flags, addresses: new Map() };
    this.#links.push(link);
    this.#tell(RTM_NEWLINK, linkBody(link));
  }

  remove(name: string): void {
    const link = this.#named(name);
    this.#links.splice(this.#links.indexOf(link), 1);
    this.#tell(RTM_DELLINK, linkBody(link));
  }

  rename(name: string, to: string): void {
    const link = this.#named(name);
    link.name = to;
    this.#tell(RTM_NEWLINK, linkBody(link));
  }

  set(name: string, state: "down" | "without carrier" | "running"): void {
    const link = this.#named(name);
    link.flags = { "down": 0, "without carrier": IFF_UP, "running": IFF_UP | IFF_RUNNING }[state];
    this.#tell(RTM_NEWLINK, linkBody(link));
  }

  addAddress(name: string, address: string, flags = 0): void {
    const link = this.#named(name);
    link.addresses.set(address, flags);
    this.#tell(RTM_NEWADDR, addressBody(link, address, flags));
  }

  removeAddress(name: string, address: string): void {
    const link = this.#named(name);
    const flags = link.addresses.get(address) ?? 0;
    link.addresses.delete(address);
    this.#tell(RTM_DELADDR, addressBody(link, address, flags));
  }

  /** Loses all events that wait, and says so. */
  overrun(): void {
    this.events.queue = [{ kind: "overrun" }];
  }

  #named(name: string): FakeLink {
    const link = this.#links.find((one) => one.name === name);
    if (link === undefined) throw new Error(`no interface ${name}`);
    return link;
  }

  #tell(type: number, body: Uint8Array): void {
    const { queue } = this.events;
    if (queue.length < EVENTS_HELD) queue.push(datagram(type, 0, 0, body));
    else if (queue.at(-1)?.kind !== "overrun") queue.push({ kind: "overrun" });
  }

  #answer(bytes: Uint8Array): void {
    for (const { type, flags, seq, body } of splitDatagram(bytes)) {
      this.asked++;
      if (this.losesAnswer) this.losesAnswer = false;
      else if ((flags & NLM_F_DUMP) === NLM_F_DUMP) this.#dump(body[0]!, seq);
      else if (type === RTM_GETLINK) this.#giveLink(body, seq);
    }
  }

  #giveLink(body: Uint8Array, seq: number): void {
    const name = new TextDecoder().decode(body.subarray(ifinfomsg.size + 4)).replace(/\0.*$/s, "");
    const link = this.#links.find((one) => one.name === name);
    const error = new Writer().i32(-ENODEV).zeros(16).finish();
    this.requests.queue.push(
      link === undefined
        ? datagram(NLMSG_ERROR, 0, seq, error)
        : datagram(RTM_NEWLINK, 0, seq, linkBody(link)),
    );
  }

  /** One address a datagram; an interrupted dump leaves all of them out. */
  #dump(family: number, seq: number): void {
    const isInterrupted = this.interruptions-- > 0;
    const length = family === 2 ? 4 : 16;
    for (const link of isInterrupted ? [] : this.#links) {
      for (const [address, flags] of link.addresses) {
        if (addr(address).length !== length) continue;
        this.requests.queue.push(datagram(RTM_NEWADDR, NLM_F_MULTI, seq, addressBody(link, address, flags)));
      }
    }
    const flags = NLM_F_MULTI | (isInterrupted ? NLM_F_DUMP_INTR : 0);
    this.requests.queue.push(datagram(NLMSG_DONE, flags, seq, new Uint8Array(4)));
  }
}

function datagram(type: number, flags: number, seq: number, body: Uint8Array): Received {
  const writer = new Writer();
  writeMessage(writer, { type, flags, seq, pid: 5 }, body);
  return { kind: "data", bytes: writer.finish() };
}

function linkBody({ index, name, flags }: FakeLink): Uint8Array {
  const writer = new Writer();
  ifinfomsg.write(writer, { family: 0, type: 1, index, flags, change: 0 });
  writeAttribute(writer, IFLA_IFNAME, new TextEncoder().encode(`${name}\0`));
  return writer.finish();
}

function addressBody({ index }: FakeLink, text: string, flags: number): Uint8Array {
  const address: Address = addr(text);
  const writer = new Writer();
  const family = address.length === 4 ? 2 : 10;
  ifaddrmsg.write(writer, { family, prefixLen: address.length * 8, flags: flags & 0xff, scope: 0, index });
  writeAttribute(writer, address.length === 4 ? IFA_LOCAL : IFA_ADDRESS, address);
  writeAttributeU32(writer, IFA_FLAGS, flags);
  return writer.finish();
}

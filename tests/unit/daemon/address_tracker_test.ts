/** The role by a virtual address, on fake interfaces. */

import { assert, assertEquals, assertThrows } from "@std/assert";
import { AddressTracker } from "../../../src/daemon/address_tracker.ts";
import { KernelReplyError, SyscallError } from "../../../src/errors.ts";
import { FakeLinks } from "../../fakes/links.ts";
import { addr } from "../../fakes/records.ts";

const VIRTUAL = "192.0.2.100";
const VIRTUAL6 = "2001:db8::100";
const DADFAILED = 0x08;
const DEPRECATED = 0x20;
const TENTATIVE = 0x40;

function track(links: FakeLinks, address = VIRTUAL): AddressTracker {
  const { events, requests } = links;
  return new AddressTracker({ interface: "eth0", address: addr(address), events, requests });
}

/** What happens, and what the tracker then sees. */
type Step = readonly [act: (links: FakeLinks) => void, seen: string];

const START: Step = [(links) => links.add("eth0"), "SLAVE: 192.0.2.100 is not on eth0"];
const MASTER = "MASTER: 192.0.2.100 is on eth0";

const CASES: readonly (readonly [name: string, ...steps: Step[]])[] = [
  [
    "follows the address",
    START,
    [(links) => links.addAddress("eth0", VIRTUAL), MASTER],
    [(links) => links.removeAddress("eth0", VIRTUAL), "SLAVE: 192.0.2.100 is not on eth0"],
  ],
  [
    "follows no other address, interface or family",
    [(links) => {
      links.add("eth1");
      links.add("eth0");
      links.addAddress("eth1", VIRTUAL);
      links.addAddress("eth0", "192.0.2.10");
      links.addAddress("eth0", VIRTUAL6);
    }, "SLAVE: 192.0.2.100 is not on eth0"],
    [(links) => links.removeAddress("eth1", VIRTUAL), "SLAVE: 192.0.2.100 is not on eth0"],
  ],
  [
    "is FAIL without the interface, and comes back by itself",
    [() => {}, "FAIL: there is no interface eth0"],
    [(links) => links.add("eth0"), "SLAVE: 192.0.2.100 is not on eth0"],
    [(links) => links.addAddress("eth0", VIRTUAL), MASTER],
    [(links) => links.remove("eth0"), "FAIL: there is no interface eth0"],
    [(links) => {
      links.add("eth0");
      links.addAddress("eth0", VIRTUAL);
    }, MASTER],
    [(links) => links.rename("eth0", "lan"), "FAIL: there is no interface eth0"],
    [(links) => links.rename("lan", "eth0"), MASTER],
  ],
  [
    "is FAIL while the interface can send nothing",
    [(links) => {
      links.add("eth0");
      links.addAddress("eth0", VIRTUAL);
    }, MASTER],
    [(links) => links.set("eth0", "without carrier"), "FAIL: interface eth0 has no carrier"],
    [(links) => links.set("eth0", "down"), "FAIL: interface eth0 is down"],
    [(links) => links.set("eth0", "running"), MASTER],
  ],
  [
    "sees only what many quick changes have come to",
    START,
    [(links) => {
      for (let i = 0; i < 300; i++) {
        links.addAddress("eth0", VIRTUAL);
        links.removeAddress("eth0", VIRTUAL);
      }
      links.addAddress("eth0", VIRTUAL);
    }, MASTER],
  ],
  [
    "reads again when events are lost",
    START,
    [(links) => {
      links.addAddress("eth0", VIRTUAL);
      links.overrun();
    }, MASTER],
  ],
  [
    "reads again when a dump is interrupted",
    START,
    [(links) => {
      links.addAddress("eth0", VIRTUAL);
      links.interruptions = 3;
    }, MASTER],
  ],
];

for (const [name, ...steps] of CASES) {
  Deno.test(`AddressTracker ${name}`, () => {
    const links = new FakeLinks();
    let tracker: AddressTracker | undefined;
    for (const [i, [act, seen]] of steps.entries()) {
      act(links);
      tracker ??= track(links);
      const { role, reason } = tracker.look();
      assertEquals(`${role}: ${reason}`, seen, `step ${i}`);
    }
  });
}

Deno.test("AddressTracker does not take an IPv6 address that may be another host's", () => {
  const links = new FakeLinks();
  links.add("eth0");
  const tracker = track(links, VIRTUAL6);
  const seen = (flags: number) => {
    links.addAddress("eth0", VIRTUAL6, flags);
    const { role, reason } = tracker.look();
    return `${role}: ${reason}`;
  };
  assertEquals(seen(TENTATIVE), "SLAVE: 2001:db8::100 on eth0 is still tentative");
  assertEquals(seen(DEPRECATED), "MASTER: 2001:db8::100 is on eth0");
  assertEquals(
    seen(TENTATIVE | DADFAILED),
    "SLAVE: 2001:db8::100 on eth0 is another host's (duplicate address detection)",
  );
});

Deno.test("AddressTracker asks the kernel only for what may concern it", () => {
  const links = new FakeLinks();
  links.add("eth0");
  const tracker = track(links);
  tracker.look();
  const { asked } = links;
  for (let i = 0; i < 100; i++) {
    links.add(`tun${i}`);
    links.addAddress(`tun${i}`, `10.0.0.${i}`);
  }
  tracker.look();
  tracker.look();
  assertEquals(links.asked, asked);
  links.addAddress("eth0", "10.0.1.1");
  tracker.look();
  assert(links.asked > asked);
});

Deno.test("AddressTracker.look() reads again what it could not read", () => {
  const links = new FakeLinks();
  links.add("eth0");
  const tracker = track(links);
  links.losesAnswer = true;
  assertThrows(() => tracker.look(), KernelReplyError, "RTM_GETLINK: ENOBUFS");
  assertEquals(tracker.look().role, "SLAVE");
  links.addAddress("eth0", VIRTUAL);
  links.interruptions = 100;
  assertThrows(() => tracker.look(), SyscallError, "EINTR");
  links.interruptions = 0;
  assertEquals(tracker.look().role, "MASTER");
});

Deno.test("AddressTracker.look() ends although events come without end", () => {
  const links = new FakeLinks();
  links.add("eth0");
  const tracker = track(links);
  tracker.look();
  const { reads } = links.events;
  for (let i = 0; i < 5000; i++) links.addAddress("eth0", VIRTUAL);
  assertEquals(tracker.look().role, "MASTER");
  assert(links.events.reads - reads <= 1000);
});

/**
 * Moves the outer addresses of a tunnel (XFRM_MSG_MIGRATE, which iproute2 6.1 cannot send) in the kernel of its network
 * namespace: `migrate.ts DIRECTION SRC/BITS DST/BITS REQID OLD_SRC OLD_DST NEW_SRC NEW_DST`, the selector being that of
 * the policy, all IPv4 or all IPv6. Prints the kernel's verdict: 0, or the number of an errno.
 */

import { openLibc } from "../../../ffi/libc.ts";
import { openNetlink } from "../../../ffi/netlink.ts";
import { Layout, pad, u16, u32, u8 } from "../../../src/layout/layout.ts";
import {
  attributeHead,
  NLM_F_ACK,
  NLM_F_REQUEST,
  readVerdict,
  splitDatagram,
  writeMessage,
} from "../../../src/layout/netlink.ts";
import { Writer } from "../../../src/layout/writer.ts";
import { familyOf, parsePrefix } from "../../../src/record/address.ts";
import { DIRECTION } from "../../../src/record/policy.ts";
import { MODE, PROTOCOL } from "../../../src/record/sa.ts";
import { XFRM_MSG_MIGRATE } from "../../../src/xfrm/constants.ts";
import { familyToKernel } from "../../../src/xfrm/selector.ts";
import { xfrmAddress, xfrmUserpolicyId } from "../../../src/xfrm/structs.ts";

const NETLINK_XFRM = 6;
const XFRMA_MIGRATE = 17;

const xfrmUserMigrate = new Layout("xfrm_user_migrate", 76, {
  oldDaddr: xfrmAddress,
  oldSaddr: xfrmAddress,
  newDaddr: xfrmAddress,
  newSaddr: xfrmAddress,
  proto: u8,
  mode: u8,
  reserved: pad(2),
  reqid: u32,
  oldFamily: u16,
  newFamily: u16,
});

const [direction = "", ...rest] = Deno.args;
const reqid = Number(rest.splice(2, 1)[0]);
const [src, dst, oldSrc, oldDst, newSrc, newDst] = rest.map((text) => {
  const prefix = parsePrefix(text);
  if (prefix === undefined) throw new RangeError(`Not an address: "${text}"`);
  return prefix;
});
const family = familyToKernel(familyOf(src!.address));

const body = new Writer();
const ports = { dport: 0, dportMask: 0, sport: 0, sportMask: 0, proto: 0, ifindex: 0, user: 0 };
const sel = {
  ...{ saddr: src!.address, prefixlenS: src!.bits, daddr: dst!.address, prefixlenD: dst!.bits },
  ...{ family, ...ports },
};
xfrmUserpolicyId.write(body, { sel, index: 0, dir: direction === "out" ? DIRECTION.OUT : DIRECTION.IN });
attributeHead(body, XFRMA_MIGRATE, xfrmUserMigrate.size);
xfrmUserMigrate.write(body, {
  ...{ oldSaddr: oldSrc!.address, oldDaddr: oldDst!.address },
  ...{ newSaddr: newSrc!.address, newDaddr: newDst!.address },
  ...{ proto: PROTOCOL.ESP, mode: MODE.TUNNEL, reqid, oldFamily: family, newFamily: family },
});

const socket = openNetlink(openLibc(), { protocol: NETLINK_XFRM, groups: [] });
const request = new Writer();
const head = { type: XFRM_MSG_MIGRATE, flags: NLM_F_REQUEST | NLM_F_ACK, seq: 1, pid: socket.portId };
writeMessage(request, head, body.finish());
socket.send(request.finish());
const answer = socket.receive();
if (answer.kind !== "data") throw new Error(`No verdict: ${answer.kind}`);
console.log(`${readVerdict(splitDatagram(answer.bytes)[0]!).errno}`);

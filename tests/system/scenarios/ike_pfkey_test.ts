/** Tunnels of strongSwan with PF_KEY on either gateway or both, for the daemon and for strongSwan itself. */

import { guest, PFKEY, XFRM } from "../lab/mod.ts";
import { ike } from "./ike.ts";

guest({ kernelPfkey: true, limitSeconds: 600 });

const master = { master: "pfkey", slave: "xfrm" } as const;
const sha1 = {
  espProposals: "aes256-sha1",
  algorithm: /auth-trunc hmac\(sha1\) \S+ \(160 bits\) 96\nenc cbc\(aes\)/,
};
const sha512 = {
  espProposals: "aes128ctr-sha512",
  algorithm: /auth-trunc hmac\(sha512\) \S+ \(512 bits\) 256\nenc rfc3686\(ctr\(aes\)\)/,
};
const sha256 = {
  espProposals: "aes256-sha256",
  algorithm: /auth-trunc hmac\(sha256\) \S+ \(256 bits\) 128\nenc cbc\(aes\)/,
};

ike([
  { kernels: PFKEY, charon: "netlink", ...sha1 },
  { kernels: PFKEY, charon: "pfkey", ...sha512 },
  { kernels: master, charon: "pfkey", ...sha1 },
  { kernels: { ...master, assume: "truncation 128" }, charon: "netlink", ...sha256 },
  { kernels: { master: "xfrm", slave: "pfkey" }, charon: "netlink", ...sha512 },
  { kernels: XFRM, charon: "pfkey", ...sha1 },
]);

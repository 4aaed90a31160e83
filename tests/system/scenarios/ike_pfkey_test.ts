/** Tunnels of strongSwan with PF_KEY on either gateway or both, for the daemon and for strongSwan itself. */

import { guest, XFRM } from "../lab/mod.ts";
import { ike } from "./ike.ts";

guest({ kernelPfkey: true });

const sha1 = {
  espProposals: "aes256-sha1",
  algorithm: /auth-trunc hmac\(sha1\) \S+ \(160 bits\) 96\nenc cbc\(aes\)/,
};

ike([
  { kernels: XFRM, charon: "pfkey", ...sha1 },
]);

/** Tunnels of strongSwan with XFRM on both gateways: AES-GCM and extended sequence numbers, AES-CBC and HMAC-SHA-256. */

import { XFRM as kernels } from "../lab/mod.ts";
import { ike } from "./ike.ts";

ike([
  {
    kernels,
    charon: "netlink",
    espProposals: "aes256gcm16-esn",
    algorithm: /aead rfc4106\(gcm\(aes\)\) 0x[0-9a-f]{72} \(288 bits\) 128/,
  },
  { kernels, charon: "netlink", espProposals: "aes256-sha256", algorithm: /enc cbc\(aes\) 0x[0-9a-f]{64}/ },
]);

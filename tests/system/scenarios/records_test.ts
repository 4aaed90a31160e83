/** Every kind of SA and policy, with XFRM on both gateways. */

import { XFRM } from "../lab/mod.ts";
import { records } from "./records.ts";

records(XFRM);

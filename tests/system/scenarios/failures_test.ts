/** Crashes, stalls and cut links, with XFRM on all gateways. */

import { guest, XFRM } from "../lab/mod.ts";
import { failures } from "./failures.ts";

guest({ limitSeconds: 400 });
failures(XFRM, 60_000);

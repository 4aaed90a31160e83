/** Lost events, with XFRM on both gateways. */

import { guest, XFRM } from "../lab/mod.ts";
import { overrun } from "./overrun.ts";

guest({ limitSeconds: 400 });
overrun(XFRM);

/** Lost events, with PF_KEY on both gateways. */

import { guest, PFKEY } from "../lab/mod.ts";
import { overrun } from "./overrun.ts";

guest({ limitSeconds: 400 });
overrun(PFKEY);

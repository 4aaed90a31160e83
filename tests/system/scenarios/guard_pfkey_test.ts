/** The guard, with PF_KEY on both gateways. */

import { PFKEY } from "../lab/mod.ts";
import { guard } from "./guard.ts";

guard(PFKEY);

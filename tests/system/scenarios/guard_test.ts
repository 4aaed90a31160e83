/** The guard, with XFRM on both gateways. */

import { XFRM } from "../lab/mod.ts";
import { guard } from "./guard.ts";

guard(XFRM);

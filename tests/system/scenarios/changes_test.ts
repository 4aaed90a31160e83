/** Changes on a master, with XFRM on both gateways. */

import { XFRM } from "../lab/mod.ts";
import { changes } from "./changes.ts";

changes(XFRM);

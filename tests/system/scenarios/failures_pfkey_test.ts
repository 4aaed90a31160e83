/** Crashes, stalls and cut links, with PF_KEY on all gateways. */

import { PFKEY } from "../lab/mod.ts";
import { failures } from "./failures.ts";

failures(PFKEY, 10_000);

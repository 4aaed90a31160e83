/** Changes on a master, with PF_KEY on either gateway or both. */

import { guest, WITH_PFKEY } from "../lab/mod.ts";
import { changes } from "./changes.ts";

guest({ limitSeconds: 600 });
for (const kernels of WITH_PFKEY) changes(kernels);

/** Every kind of SA and policy, with PF_KEY on either gateway or both. */

import { WITH_PFKEY } from "../lab/mod.ts";
import { records } from "./records.ts";

for (const kernels of WITH_PFKEY) records(kernels);

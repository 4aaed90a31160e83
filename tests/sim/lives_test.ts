/** The first worlds, for every day; `make test` runs those of `more/` too. `one.ts` runs one of them again. */

import { testLives } from "./lives.ts";

testLives(1, 1000);

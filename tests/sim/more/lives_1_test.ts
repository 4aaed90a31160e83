/** More worlds, for CI: a file runs on one core. */

import { testLives } from "../lives.ts";

testLives(1001, 3250);

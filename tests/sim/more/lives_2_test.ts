/** More worlds, for CI: a file runs on one core. */

import { testLives } from "../lives.ts";

testLives(3251, 5500);

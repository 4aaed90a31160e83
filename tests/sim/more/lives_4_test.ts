/** More worlds, for CI: a file runs on one core. */

import { testLives } from "../lives.ts";

testLives(7751, 10000);

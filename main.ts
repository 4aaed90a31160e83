/** sasyncd: which of its processes this one is, by its arguments. The only file that knows Deno.args and Deno.exit. */

import { ConfigError } from "./src/errors.ts";
import { isExpected } from "./src/process/errors.ts";
import { HELPER, runHelper } from "./src/process/helper.ts";
import { NETWORK, runNetwork } from "./src/process/network.ts";
import { BACKGROUND, start } from "./src/process/start.ts";

Deno.exit(await main([...Deno.args]));

/** @returns the exit status. */
async function main(args: string[]): Promise<number> {
  try {
    if (args[0] === HELPER) return await runHelper(args.slice(1));
    if (args[0] === NETWORK) return await runNetwork(args.slice(1));
    if (args[0] !== BACKGROUND) return await start(args, undefined);
    return await start(args.slice(2), Number(args[1]));
  } catch (error) {
    if (!isExpected(error)) throw error;
    console.error(error instanceof ConfigError ? error.message : `sasyncd: ${error.message}`);
    return 1;
  }
}

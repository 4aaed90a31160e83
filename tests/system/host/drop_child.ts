/** Gives up root's rights as the network process does, and runs a command with what is left. Started by a test. */

import { findAccount } from "../../../ffi/identity.ts";
import { openLibc } from "../../../ffi/libc.ts";
import { dropPrivileges } from "../../../ffi/privileges.ts";

const [capabilities = "", command = "", ...args] = Deno.args;
const libc = openLibc();
dropPrivileges(libc, findAccount(libc, "nobody")!, capabilities.split(",").map(Number));
// from this thread, so with its rights
const { code } = new Deno.Command(command, { args, stdout: "inherit", stderr: "inherit" }).outputSync();
Deno.exit(code);

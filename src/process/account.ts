/** Whom the network process runs as. */

import type { Config } from "../config/config.ts";
import { ResolveError } from "../daemon/resolve_config.ts";
import { type Account, findAccount } from "../../ffi/identity.ts";
import type { Libc } from "../../ffi/libc.ts";

/** @throws {ResolveError} when the system has no such user. */
export function accountOf(libc: Libc, config: Config): Account {
  const name = config.user ?? (libc.system === "openbsd" ? "_isakmpd" : "_sasyncd");
  const account = findAccount(libc, name);
  if (account !== undefined) return account;
  const remedy =
    `make it (useradd --system --user-group --no-create-home --shell /usr/sbin/nologin ${name}), ` +
    `or name another one with "user NAME" in ${config.file}`;
  throw new ResolveError(`there is no user ${name} to run as: ${remedy}`);
}

/** What OpenBSD shows to root alone, as the helper looks it up. Not yet run on OpenBSD. */

import type { Config } from "../config/config.ts";
import type { Sight } from "../daemon/helper_messages.ts";
import { Writer } from "../layout/mod.ts";
import { encodeIfreq, IF_DATA_BYTES, IFREQ_DATA_OFFSET, SIOCGIFDATA } from "../link/interface_requests.ts";
import { SADB_DUMP_NAME, SPD_DUMP_NAME } from "../pfkey/openbsd_constants.ts";
import { FfiInterfaceControl } from "../../ffi/carp.ts";
import { interfaceIndex } from "../../ffi/interfaces.ts";
import type { Libc } from "../../ffi/libc.ts";
import { readSysctl } from "../../ffi/sysctl.ts";

/** Bytes of the interface's number before its if_data in `link`. */
export const INDEX_BYTES = 4;

/** @throws {SyscallError} */
export function look(libc: Libc, { interface: name = "" }: Config, at: Sight): Uint8Array {
  if (at === "sadb") return readSysctl(libc, SADB_DUMP_NAME);
  if (at === "spd") return readSysctl(libc, SPD_DUMP_NAME);
  const ifData = new Uint8Array(IF_DATA_BYTES);
  const pointee = { offset: IFREQ_DATA_OFFSET, bytes: ifData };
  new FfiInterfaceControl(libc).ioctl(SIOCGIFDATA, encodeIfreq(name), pointee);
  return new Writer().u32(interfaceIndex(libc, name) ?? 0).bytes(ifData).finish();
}

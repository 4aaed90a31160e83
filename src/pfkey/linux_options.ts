/** What the codecs of Linux's PF_KEY go by besides the messages. */

import type { ByteOrder } from "../layout/byte_order.ts";
import type { Platform } from "./message.ts";

/** How to read what messages do not tell: the statements `pfkey assume-…` of the configuration. */
export interface LinuxAssumptions {
  /** Bits of the ICV of HMAC-SHA-256; undefined: SAs with it are refused. */
  readonly truncation: 96 | 128 | undefined;
  /** A replay window of 0 means what it says; false: SAs with it are refused, as it may stand for ESN. */
  readonly noEsn: boolean;
}

export interface LinuxOptions {
  readonly platform: Platform;
  readonly assume: LinuxAssumptions;
}

/** Source: linux/socket.h. */
const AF_INET6 = 10;

/** Linux on a machine of this byte order. */
export function linuxPlatform(order: ByteOrder): Platform {
  return { order, saLen: false, afInet6: AF_INET6 };
}

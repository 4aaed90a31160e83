/**
 * Messages of kernels about interfaces. Linux 6.18, x86_64: payloads of RTM_NEWLINK and RTM_NEWADDR as RTM_GETLINK (by
 * name) and RTM_GETADDR gave them to a small Python program; the first of them is shortened. OpenBSD: laid out by hand
 * after net/if.h and net/route.h, LP64, little-endian.
 */

/** `lo`, up and running: `struct ifinfomsg`, IFLA_IFNAME, IFLA_TXQLEN, IFLA_OPERSTATE, IFLA_LINKMODE. */
export const LINUX_LO = "00000403010000004900010000000000" + "070003006c6f0000" + "08000d00e8030000" +
  "0500100000000000" + "0500110000000000";

export const LINUX_ADDRESSES = {
  /** 127.0.0.1/8 on lo. */
  v4: "020880fe01000000" + "080001007f000001" + "080002007f000001" + "070003006c6f0000" + "0800080080000000" +
    "14000600ffffffffffffffff1800000018000000",
  /** ::1/128 on lo. */
  v6: "0a8080fe01000000" + "1400010000000000000000000000000000000001" +
    "14000600ffffffffffffffff1800000018000000" +
    "0800080080000000" + "05000b0001000000",
} as const;

/** `carp0` is interface 7: RTM_IFINFO, link state UP, `struct if_msghdr` with all of its `struct if_data`. */
export const OPENBSD_IFINFO = "a800050ea8000700" + "0000000000000000" + "4388000000000000" + // tableid, addrs, flags, xflags
  "f7000004dc050000" + "00".repeat(136);

/** The arrival of `carp0` as interface 9: RTM_IFANNOUNCE. */
export const OPENBSD_IFANNOUNCE = "1a00050f1a000900" + "0000" + "6361727030" + "00".repeat(11);

/** RTM_DESYNC: messages were lost. */
export const OPENBSD_DESYNC = "6000051060000000" + "00".repeat(88);

#!/usr/bin/env python3
"""Writes record_vectors.ts and native_vectors.ts: the native protocol's bytes laid out by hand, apart from src.

Run in this folder: python3 make_native_vectors.py && deno fmt record_vectors.ts native_vectors.ts
"""

import hashlib
import hmac
import struct


def u8(n): return struct.pack(">B", n)
def u16(n): return struct.pack(">H", n)
def u32(n): return struct.pack(">I", n)
def u64(n): return struct.pack(">Q", n)


def v4(text): return bytes(int(part) for part in text.split("."))


V6_A = bytes.fromhex("20010db8000000000000000000000001")
V6_B = bytes.fromhex("20010db8000000000000000000000002")
CRITICAL = 0x8000
LINUX, OPENBSD, FREEBSD = 0x1000, 0x2000, 0x3000


def attribute(type_word, *parts):
    value = b"".join(parts)
    return u16(type_word) + u16(len(value)) + value


def must(number, *parts): return attribute(CRITICAL | number, *parts)


def block(data): return u16(len(data)) + data


def message(type_word, *parts): return attribute(type_word, *parts)


SA_IDENTITY = (
    must(1, v4("198.51.100.1")),  # dst
    must(2, u8(50)),              # protocol ESP
    must(3, u32(0xc0000001)),     # SPI
)
SA_TAIL = must(10, v4("192.0.2.1")) + must(11, u8(1))  # src, mode tunnel

SA_SMALL = b"".join(SA_IDENTITY) + SA_TAIL
SA_IDENTITY_FULL = (
    must(1, V6_A) + must(2, u8(51)) + must(3, u32(0x100))
    + must(4, u32(0x10), u32(0xff))  # mark
    + must(5, u32(3))                # rdomain
)
SELECTOR = (
    u16(1) + u16(0xffff) + u16(2) + u16(0xff00)  # ports and their masks
    + u32(1000) + u8(64) + u8(128) + u8(17) + u8(6)  # user, prefix lengths, UDP, IPv6
    + V6_A + V6_B + b"eth0"
)
SA_FULL = (
    SA_IDENTITY_FULL
    + must(7, SELECTOR)
    + must(9, u32(42))                                        # interface id
    + must(10, V6_B)                                          # src
    + must(11, u8(4))                                         # mode BEET
    + must(12, u32(16385))                                    # reqid
    + must(13, u16(12), bytes(range(16)))                     # AES-CBC-128
    + must(14, u16(12), u16(128), bytes(range(32)))           # HMAC-SHA-256-128
    + must(15, u16(0xffff), u8(3), b"foo", u16(96), b"\xaa")  # an AEAD without a number
    + must(16, u16(2))                                        # DEFLATE
    + must(17, u32(4096))                                     # window
    + must(18, u32(0x481))                                    # NO_ECN, ESN, LONG_REPLAY
    + must(19, u16(2), u16(4500), u16(4501), bytes(12), v4("203.0.113.9"))
    + must(20, V6_B)                                          # care-of address
    + must(21, u32(7), u32(0xffffffff))                       # output mark
    + must(22, u32(1400))                                     # TFC padding
    + attribute(23, u8(2))                                    # direction out
    + attribute(25, u8(0b0101), u64(3600), u64(1 << 40))      # soft: seconds, bytes
    + must(26, u8(0b1111), u64(7200), u64(600), u64(2**64 - 1), u64(9))
    + attribute(LINUX | 0x1c, b"\x01\x02")
    + attribute(CRITICAL | FREEBSD | 0xfff)
)
SA_COUNTERS = (
    must(64, u64(0x1_0000_0001)) + must(65, u64(99)) + must(66, u32(1), u32(0x80000000))
    + must(67, u64(123456)) + must(68, u64(789)) + must(69, u32(60)) + must(70, u32(0))
)

POLICY_SELECTOR = (
    u16(0) * 4 + u32(0) + u8(16) + u8(24) + u8(0) + u8(4)
    + v4("10.1.0.0") + v4("10.2.3.0")
)
POLICY_IDENTITY = must(6, u8(1)) + must(7, POLICY_SELECTOR)
POLICY_SMALL = POLICY_IDENTITY + must(32, u8(1))
TEMPLATE = (
    u32(5) + u32(6) + u32(1) + u32(2) + u32(0xffffffff)  # SPI, reqid, algorithm masks
    + u8(50) + u8(1) + u8(2) + u8(6)                     # ESP, tunnel, share, IPv6
    + u8(1)                                              # optional
    + u8(16) + V6_A + u8(16) + V6_B
)
POLICY_FULL = (
    must(4, u32(1), u32(1)) + POLICY_IDENTITY + must(8, u8(1)) + must(9, u32(7))
    + must(18, u32(3))
    + attribute(25, u8(2), u64(5)) + must(26, u8(8), u64(6))
    + must(32, u8(0)) + must(33, u32(375423)) + must(34, u8(1)) + must(35, TEMPLATE, TEMPLATE)
    + attribute(OPENBSD | 1, b"tag")
)
POLICY_AGE = must(69, u32(10)) + must(70, u32(3))

RECORDS = {
    "saIdentity": b"".join(SA_IDENTITY),
    "saIdentityFull": SA_IDENTITY_FULL,
    "saSmall": SA_SMALL,
    "saFull": SA_FULL,
    "saCounters": SA_COUNTERS,
    "policyIdentity": POLICY_IDENTITY,
    "policySmall": POLICY_SMALL,
    "policyFull": POLICY_FULL,
    "policyAge": POLICY_AGE,
}


def rotate(word, bits):
    return (word << bits | word >> (32 - bits)) & 0xFFFFFFFF


def murmur3_x86_128(data):
    """MurmurHash3 with seed 0, from its definition; the words big-endian."""
    c = [0x239B961B, 0xAB0E9789, 0x38B34AE5, 0xA1E38B93]
    h = [0, 0, 0, 0]

    def take_in(lane, word):
        k = rotate(word * c[lane] & 0xFFFFFFFF, 15 + lane) * c[(lane + 1) % 4] & 0xFFFFFFFF
        h[lane] ^= k

    def fmix(x):
        x = (x ^ x >> 16) * 0x85EBCA6B & 0xFFFFFFFF
        x = (x ^ x >> 13) * 0xC2B2AE35 & 0xFFFFFFFF
        return x ^ x >> 16

    def mix_lanes():
        h[0] = sum(h) & 0xFFFFFFFF
        for lane in (1, 2, 3):
            h[lane] = h[lane] + h[0] & 0xFFFFFFFF

    padded = data + bytes(-len(data) % 16)
    for at in range(0, len(padded), 16):
        for lane, word in enumerate(struct.unpack_from("<4I", padded, at)):
            take_in(lane, word)
            if at + 16 > len(data):
                continue
            constant = [0x561CCD1B, 0x0BCAA747, 0x96CD1C35, 0x32AC3B17][lane]
            h[lane] = (rotate(h[lane], [19, 17, 15, 13][lane]) + h[(lane + 1) % 4]) * 5 + constant & 0xFFFFFFFF
    for lane in range(4):
        h[lane] ^= len(data)
    mix_lanes()
    h[:] = map(fmix, h)
    mix_lanes()
    return struct.pack(">4I", *h)


assert murmur3_x86_128(b"The quick brown fox jumps over the lazy dog").hex() == "2f1583c3ecee2c675d7bf66ce5e91d2c"
RECORD_DIGEST = murmur3_x86_128(SA_SMALL + u64(7))

ID_A, ID_B = b"\xa1" * 16, b"\xb2" * 16
MESSAGES = {
    "hello": message(
        CRITICAL | 1, u16(1), ID_A, u32(0), ID_B, block(b"linux"),
        u16(2), u8(4), v4("192.0.2.1"), u8(16), V6_A),
    "state": message(CRITICAL | 2, u8(2), u64(5), u64(2**53 - 1), ID_A, u8(1), u8(2)),
    "snapshotBegin": message(CRITICAL | 3, u64(1), u64(5)),
    "snapshotEnd": message(CRITICAL | 4, u64(9), u64(7), ID_B),
    "put": message(CRITICAL | 5, u64(2), u8(0), u64(3), block(SA_SMALL), block(SA_COUNTERS)),
    "delete": message(CRITICAL | 6, u64(3), u8(1), block(POLICY_IDENTITY)),
    "flush": message(CRITICAL | 7, u64(4), u8(0), u8(50)),
    "counters": message(8, block(RECORDS["saIdentity"]), block(SA_COUNTERS)),
    "want": message(
        CRITICAL | 9, u16(2), u8(0), block(RECORDS["saIdentity"]), u8(1), block(POLICY_IDENTITY)),
    "wantAll": message(CRITICAL | 9, u16(0)),
    "ack": message(CRITICAL | 10, u64(0)),
    "refused": message(11, u8(0), block(RECORDS["saIdentity"]), block("no such µ".encode())),
    "rekey": message(CRITICAL | 12),
    "ping": message(CRITICAL | 13, u64(77)),
    "pong": message(14, u64(77)),
    "bye": message(15, block(b"going down")),
    "digests": message(CRITICAL | 16, u8(1), u64(6), u8(7), u16(64), u16(2), u32(1), u32(2**32 - 2)),
    "digestsJoin": message(CRITICAL | 16, u8(0), u64(6), u8(7), u16(64), u16(2), u16(1), u16(2**16 - 2)),
    "buckets": message(
        CRITICAL | 17, u8(0), u8(7), u16(64), u16(2),
        u16(2), u16(65), u16(2), u16(0x0102), u16(2**16 - 1), u16(66), u16(0)),
    "bucketsAgain": message(
        CRITICAL | 17, u8(2), u8(7), u16(64), u16(2),
        u16(2), u16(65), u16(2), u32(0x01020304), u32(2**32 - 1), u16(66), u16(0)),
    "wantRecords": message(
        CRITICAL | 18, u8(1), u8(7), u16(64), u16(2), u16(1), u16(65), u16(1), u32(2**32 - 1)),
    "catchUp": message(CRITICAL | 19, u64(1), u64(5)),
    "counted": message(20, u64(9)),
    "askPremises": message(21),
    "premises": message(22, u16(2), block(b"file /a: none"), block(b""), u8(1)),
}


def hkdf(key, info):
    secret = hmac.new(bytes(32), key, hashlib.sha256).digest()
    return hmac.new(secret, info + b"\x01", hashlib.sha256).digest()


PSK_HEX = hkdf(bytes(range(24)), b"sasyncd native 2 psk")
PSK_ASCII = hkdf(
    hashlib.pbkdf2_hmac("sha256", b"correct horse battery staple", b"sasyncd native 2", 600_000),
    b"sasyncd native 2 psk")


def table(name, doc, rows):
    lines = "".join(f'  {key}: "{value.hex()}",\n' for key, value in rows.items())
    return f"/** {doc} */\nexport const {name} = {{\n{lines}}} as const;\n"


HEAD = "/** Written by make_native_vectors.py; do not edit. Hexadecimal text. */\n\n"

with open("record_vectors.ts", "w") as out:
    out.write(HEAD + table("RECORD_VECTORS", "Records in their binary form.", RECORDS))
    out.write("\n" + table("DIGEST_VECTORS", "Digest of `saSmall` with rank 7.", {"saSmall7": RECORD_DIGEST}))

with open("native_vectors.ts", "w") as out:
    out.write(HEAD + table("MESSAGE_VECTORS", "One message of each type, with its header.", MESSAGES))
    out.write("\n" + table(
        "PSK_VECTORS",
        "Keys made of the bytes 0 to 23, and of the stretched ASCII key `correct horse battery staple`.",
        {"bytes": PSK_HEX, "ascii": PSK_ASCII}))

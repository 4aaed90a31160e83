#!/usr/bin/env python3
"""Writes xfrm_vectors.ts: what a real kernel says of SAs and policies that iproute2 (and raw netlink) make.

Run as root in an empty network namespace of a kernel with esp4, esp6, ah4, ah6, ipcomp and the ciphers as modules:
python3 make_xfrm_vectors.py > xfrm_vectors.ts && deno fmt xfrm_vectors.ts. It flushes the namespace's SAs and policies.
"""

import os
import platform
import shlex
import socket
import struct
import subprocess
import time

NEWSA, GETSA, GETPOLICY = 0x10, 0x12, 0x15
REQUEST, ACK, DUMP = 1, 4, 0x300
GROUPS = 1 << 1 | 1 << 2 | 1 << 3 | 1 << 6  # EXPIRE, SA, POLICY, MIGRATE
INF = 2**64 - 1
IPIP = 4
SA_BYTES, POLICY_BYTES = 224, 168


def open_netlink(groups=0):
    s = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, 6)
    s.setsockopt(socket.SOL_SOCKET, 33, 1 << 24)  # SO_RCVBUFFORCE
    s.bind((0, groups))
    return s


def message(kind, flags, body):
    return struct.pack("=IHHII", 16 + len(body), kind, flags | REQUEST, 1, 0) + body


def messages(datagram):
    while len(datagram) >= 16:
        length, kind = struct.unpack_from("=IH", datagram)
        yield kind, datagram[16:length]
        datagram = datagram[(length + 3) & ~3:]


def attribute(kind, value):
    return struct.pack("=HH", 4 + len(value), kind) + value + b"\0" * (-len(value) % 4)


def dump(kind):
    s = open_netlink()
    s.send(message(kind, DUMP, b""))
    found = []
    while True:
        for got, body in messages(s.recv(1 << 20)):
            if got == 3:
                return found[::-1]  # oldest first, like the commands
            found.append(body)


listener = open_netlink(GROUPS)
listener.setblocking(False)


def events():
    found = []
    while True:
        try:
            found.append(listener.recv(1 << 20))
        except BlockingIOError:
            return found


def ip(command):
    subprocess.run(["ip"] + shlex.split(command), check=True, stdout=subprocess.DEVNULL)


def key(length):
    return "0x" + "".join("%02x" % ((i * 7 + length) & 255) for i in range(length))


def raw_sa(spi, flags, window, attributes):
    body = bytearray(SA_BYTES)
    body[56:60] = socket.inet_aton("198.51.100.7")
    struct.pack_into(">IB", body, 72, spi, 50)
    body[80:84] = socket.inet_aton("192.0.2.1")
    struct.pack_into("=4Q", body, 96, INF, INF, INF, INF)
    struct.pack_into("=IIHBBB", body, 204, 0, 9, 2, 1, window, flags)
    gcm = b"rfc4106(gcm(aes))".ljust(64, b"\0") + struct.pack("=II", 288, 128) + bytes(range(36))
    return bytes(body) + attribute(18, gcm) + attributes


V4 = "src 192.0.2.1 dst 198.51.100.7"
V6 = "src 2001:db8::1 dst 2001:db8:7::7"
AUTH = f"auth-trunc 'hmac(sha256)' {key(32)} 128"
ENC = f"enc 'cbc(aes)' {key(16)}"
BOTH = f"{AUTH} {ENC}"


def esp(spi, rest, ends=V4, mode="tunnel"):
    return f"{ends} proto esp spi {spi:#x} reqid {spi & 0xff} mode {mode} {rest}"


def ah(spi, rest, ends=V4, mode="tunnel"):
    return f"{ends} proto ah spi {spi:#x} reqid {spi & 0xff} mode {mode} {rest}"


STATES = [
    esp(0x1001, BOTH),
    esp(0x1002, f"auth-trunc 'hmac(sha1)' {key(20)} 96 enc 'cbc(aes)' {key(32)} replay-window 32", V4, "transport"),
    esp(0x1003, f"auth-trunc 'hmac(sha384)' {key(48)} 192 enc 'cbc(aes)' {key(24)}", V6),
    esp(0x1004, f"auth-trunc 'hmac(sha512)' {key(64)} 256 enc 'cbc(des3_ede)' {key(24)}", V6, "transport"),
    esp(0x1005, f"auth-trunc 'hmac(md5)' {key(16)} 96 {ENC} sel src 10.1.0.1/32 dst 10.2.0.1/32", V4, "beet"),
    esp(0x1006, f"{BOTH} sel src 2001:db8:a::1/128 dst 2001:db8:b::1/128", V6, "beet"),
    esp(0x1007, f"{AUTH} enc 'rfc3686(ctr(aes))' {key(20)}"),
    esp(0x1008, f"aead 'rfc4106(gcm(aes))' {key(20)} 64"),
    esp(0x1009, f"aead 'rfc4106(gcm(aes))' {key(28)} 96"),
    esp(0x100a, f"aead 'rfc4106(gcm(aes))' {key(36)} 128", V6),
    esp(0x100b, f"aead 'rfc4309(ccm(aes))' {key(19)} 64"),
    esp(0x100c, f"aead 'rfc4309(ccm(aes))' {key(27)} 96"),
    esp(0x100d, f"aead 'rfc4309(ccm(aes))' {key(35)} 128"),
    esp(0x100e, f"aead 'rfc4543(gcm(aes))' {key(20)} 128"),
    esp(0x100f, f"aead 'rfc7539esp(chacha20,poly1305)' {key(36)} 128"),
    esp(0x1010, f"{AUTH} enc 'ecb(cipher_null)' ''"),
    esp(0x1011, f"auth digest_null '' {ENC}"),
    esp(0x1012, ENC),
    ah(0x1013, AUTH, V4, "transport"),
    ah(0x1014, f"auth-trunc 'xcbc(aes)' {key(16)} 96", V6),
    esp(0x1015, f"auth-trunc 'cmac(aes)' {key(16)} 96 {ENC}"),
    esp(0x1016, f"auth 'hmac(sha1)' {key(20)} {ENC}"),
    esp(0x1017, f"auth-trunc 'hmac(sha256)' {key(32)} 96 {ENC}"),
    esp(0x1018, f"auth-trunc 'hmac(rmd160)' {key(20)} 96 {ENC}"),
    esp(0x1019, f"{AUTH} enc 'cbc(camellia)' {key(16)}"),
    esp(0x101a, f"{AUTH} enc 'cbc(serpent)' {key(16)}"),
    f"{V4} proto comp spi 0x2001 reqid 1 mode tunnel comp deflate",
    f"{V6} proto comp spi 0x2002 reqid 2 mode transport comp deflate",
    esp(0x3001, f"{BOTH} flag esn replay-window 64"),
    esp(0x3002, f"{BOTH} flag esn replay-window 4096 replay-seq 77 replay-seq-hi 3 replay-oseq 99 replay-oseq-hi 2"),
    esp(0x3003, f"{BOTH} replay-window 128 replay-seq 1000 replay-oseq 2000"),
    esp(0x3004, f"aead 'rfc4106(gcm(aes))' {key(36)} 128 flag esn replay-window 32", V6),
    esp(0x3005, f"{BOTH} replay-window 4 replay-seq 0xf0 replay-oseq 0xe0"),
    ah(0x3006, f"{AUTH} flag esn replay-window 100"),
    esp(0x3007, f"{BOTH} mark 0x7 mask 0xff"),
    esp(0x3007, f"{BOTH} mark 0x8 mask 0xff"),
    esp(0x3007, BOTH),
    esp(0x3008, f"{BOTH} if_id 0x2a"),
    esp(0x3009, f"{BOTH} encap espinudp 4500 4501 203.0.113.9"),
    esp(0x300a, f"{BOTH} encap espinudp 4500 4501 ::", V6),
    esp(0x300b, f"{BOTH} encap espinudp-nonike 4500 4501 0.0.0.0"),
    esp(0x300c, f"{BOTH} limit time-soft 3600 limit time-hard 7200 limit time-use-soft 1800 limit time-use-hard 1900 "
        "limit byte-soft 1000000 limit byte-hard 2000000 limit packet-soft 3000 limit packet-hard 4000"),
    esp(0x300d, f"{BOTH} output-mark 0x123"),
    esp(0x300e, f"{BOTH} output-mark 0x20 mask 0xf0"),
    esp(0x300f, f"{BOTH} tfcpad 1400"),
    esp(0x3010, f"{BOTH} extra-flag dont-encap-dscp"),
    esp(0x3011, f"{BOTH} extra-flag dont-encap-dscp oseq-may-wrap flag noecn decap-dscp nopmtudisc icmp align4"),
    esp(0x3012, f"{BOTH} flag wildrecv"),
    esp(0x3013, f"{BOTH} flag af-unspec"),
    esp(0x3014, f"{BOTH} sel src 10.1.0.0/24 dst 10.2.0.0/16 proto udp sport 53 dport 5353 dev d0", V4, "transport"),
    esp(0x3015, f"{BOTH} sel src 2001:db8:1::/48 dst 2001:db8:2::/64 proto ipv6-icmp type 128 code 0", V6, "transport"),
    esp(0x3016, f"{BOTH} sel src 2001:db8:1::/48 dst 2001:db8:2::/64"),
    f"{V6} proto hao mode ro coa 2001:db8:99::1",
]
NOW = int(time.time())
RAW_STATES = {
    "REPLAY_VAL oseq 1 seq 0x55 bitmap 0xdeadbeef, LTIME_VAL 1111 bytes 22 packets, made 100 s ago, used 50 s ago":
        raw_sa(0x4001, 0, 32, attribute(10, struct.pack("=III", 1, 0x55, 0xdeadbeef))
               + attribute(9, struct.pack("=4Q", 1111, 22, NOW - 100, NOW - 50))),
    "REPLAY_ESN_VAL oseq 0x210000000b + seq 0x2c00000016, window 250, 8 words":
        raw_sa(0x4002, 128, 0, attribute(23, struct.pack("=14I", 8, 11, 22, 33, 44, 250,
                                                          *[0x80000001 + i for i in range(8)]))),
    "MTIMER_THRESH 600 and ENCAP":
        raw_sa(0x4003, 0, 0, attribute(4, struct.pack("=H", 2) + struct.pack(">HH", 4500, 4500) + bytes(18))
               + attribute(32, struct.pack("=I", 600))),
    "REPLAY_THRESH 7, ETIMER_THRESH 9 and COADDR 203.0.113.77":
        raw_sa(0x4004, 0, 0, attribute(11, struct.pack("=I", 7)) + attribute(12, struct.pack("=I", 9))
               + attribute(14, socket.inet_aton("203.0.113.77") + bytes(12))),
}
POLICIES = [
    "src 10.1.0.0/24 dst 10.2.0.0/24 dir out priority 100 tmpl src 192.0.2.1 dst 198.51.100.7 proto esp reqid 1 "
    "mode tunnel",
    "src 10.2.0.0/24 dst 10.1.0.0/24 dir in priority 100 tmpl src 198.51.100.7 dst 192.0.2.1 proto esp reqid 1 "
    "mode tunnel level use",
    "src 10.2.0.0/24 dst 10.1.0.0/24 dir fwd priority 100 tmpl src 198.51.100.7 dst 192.0.2.1 proto esp reqid 1 "
    "mode tunnel tmpl src 0.0.0.0 dst 0.0.0.0 proto comp mode transport level use",
    "src 2001:db8:1::/48 dst 2001:db8:2::/48 dir out priority 7 flag localok icmp tmpl src 2001:db8::1 "
    "dst 2001:db8:7::7 proto ah spi 0x77 reqid 9 mode transport",
    "src 10.9.0.0/24 dst 10.8.0.0/24 proto tcp sport 1000 dport 80 dev d0 dir out action block priority 5",
    "src 10.9.0.0/24 dst 10.8.0.0/24 dir out action allow priority 5 mark 0x3 mask 0xf if_id 0x55",
    "src 10.9.1.0/24 dst 10.8.0.0/24 dir out action allow priority 5 ptype sub",
    "src 10.9.2.0/24 dst 10.8.0.0/24 dir out priority 1 limit time-soft 100 limit time-hard 200 limit byte-hard 999 "
    "limit packet-soft 55 tmpl src 192.0.2.1 dst 198.51.100.7 proto esp mode beet",
    "src 10.9.3.0/24 dst 10.8.0.0/24 dir out tmpl src 2001:db8::1 dst 2001:db8:7::7 proto esp mode tunnel",
    "src 0.0.0.0/0 dst 0.0.0.0/0 proto icmp type 8 code 0 dir in action allow",
]
LIMITED = f"{V4} proto esp spi 0x5001 reqid 1 mode tunnel {BOTH}"
CHANGES = [
    f"state update {V4} proto esp spi 0x1001 reqid 99 mode tunnel auth-trunc 'hmac(sha256)' {key(32)} 96 {ENC} "
    "limit byte-hard 777777",
    f"state delete {V4} proto esp spi 0x1002",
    f"state delete {V4} proto esp spi 0x3007 mark 0x7 mask 0xff",
    "policy update src 10.1.0.0/24 dst 10.2.0.0/24 dir out priority 50 tmpl src 192.0.2.1 dst 198.51.100.7 proto esp "
    "reqid 2 mode tunnel",
    "policy delete src 10.9.0.0/24 dst 10.8.0.0/24 dir out mark 0x3 mask 0xf if_id 0x55",
    "policy delete index INDEX dir out",
    f"state add {LIMITED} limit time-soft 1 limit time-hard 2",
    f"state add {LIMITED.replace('5001', '5002')} mark 5 if_id 9 limit time-hard 1",
    "policy add src 10.9.9.0/24 dst 10.8.0.0/24 dir out action allow limit time-hard 1",
    "WAIT",
    "state flush proto ah",
    "state flush proto hao",
    "policy flush ptype sub",
    "policy flush",
    "state flush",
]


def socket_policy():
    """A policy of one socket, which dumps show with directions of their own."""
    body = bytearray(POLICY_BYTES)
    struct.pack_into("=H", body, 40, socket.AF_INET)
    struct.pack_into("=4Q", body, 56, INF, INF, INF, INF)
    body[160] = 1
    owner = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    owner.setsockopt(socket.IPPROTO_IP, 17, bytes(body))  # IP_XFRM_POLICY
    return owner


def index_of(policy):
    text = subprocess.run(["ip", "-s", "xfrm", "policy", "get"] + policy.split(), capture_output=True, text=True).stdout
    return text.split(" index ")[1].split()[0]


def rows(name, pairs):
    print(f"export const {name}: readonly (readonly [command: string, hex: string])[] = [")
    for command, data in pairs:
        print(f'  ["{command}", "{data.hex()}"],')
    print("];\n")


def main():
    ip("link add d0 type dummy")
    for command in STATES:
        ip(f"xfrm state add {command}")
    for body in RAW_STATES.values():
        s = open_netlink()
        s.send(message(NEWSA, ACK, body))
        assert struct.unpack_from("=i", s.recv(65536), 16)[0] == 0
    ip("xfrm state allocspi src 192.0.2.1 dst 198.51.100.9 proto esp mode tunnel reqid 5 min 0x9000 max 0x9000")
    for command in POLICIES:
        ip(f"xfrm policy add {command}")
    owner = socket_policy()
    events()
    taken = int(time.time())
    print('/**\n * Written by make_xfrm_vectors.py; do not edit. Little-endian. Taken '
          f'{time.strftime("%Y-%m-%d", time.gmtime(taken))} from Linux {platform.release()} {platform.machine()}\n'
          " * with iproute2: each row is the command (after `ip xfrm state add` and so on) and what the kernel says.\n */\n")
    print(f"/** When the script started and when the dumps were taken; the index of the interface d0. */\n"
          f"export const STARTED_SECONDS = {NOW};\nexport const TAKEN_SECONDS = {taken};\n"
          f'export const D0_INDEX = {socket.if_nametoindex("d0")};\n')
    states = dump(GETSA)
    names = iter(STATES + [f"raw: {name}" for name in RAW_STATES] + ["allocspi"])
    print("/** Payloads of NEWSA in a dump, oldest first. */")
    rows("SA_VECTORS", [("the kernel's own, for IPCOMP" if body[76] == IPIP else next(names), body) for body in states])
    assert next(names, None) is None
    policies = dump(GETPOLICY)
    print("/** Payloads of NEWPOLICY in a dump, oldest first; the last are of a socket. */")
    rows("POLICY_VECTORS", zip(POLICIES + ["socket"] * 9, policies))
    owner.close()
    told = []
    index = index_of(" ".join(POLICIES[7].split()[:6]))
    for command in CHANGES:
        if command == "WAIT":
            time.sleep(4.5)
        else:
            ip("xfrm " + command.replace("INDEX", index))
        told += [(command, datagram) for datagram in events()]
    print("/** Whole notifications, in their order. */")
    rows("EVENT_VECTORS", told)


if __name__ == "__main__":
    main()

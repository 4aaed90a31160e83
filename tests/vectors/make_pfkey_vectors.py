#!/usr/bin/env python3
"""Writes the PF_KEY vectors: messages of FreeBSD and Linux as their headers and sources describe them, in both byte orders.

python3 make_pfkey_vectors.py freebsd > freebsd_vectors.ts; python3 make_pfkey_vectors.py linux > linux_pfkey_vectors.ts;
then deno fmt. An encoder of its own, of plain struct formats: it shares nothing with src/pfkey. Sources: RFC 2367;
FreeBSD sys/net/pfkeyv2.h and sys/netipsec/key.c; Linux linux/pfkeyv2.h, linux/ipsec.h and net/key/af_key.c. No
message here was recorded from a kernel.
"""

import ipaddress
import json
import struct
import sys

BYTE_ORDERS = {"little": "<", "big": ">"}
NOW = 1_700_000_000  # by the wall clock, when the dumps are "taken"

# Message types and extension types that both systems share.
(GETSPI, UPDATE, ADD, DELETE, GET, ACQUIRE, REGISTER, EXPIRE, FLUSH, DUMP, PROMISC) = range(1, 12)
SPDUPDATE, SPDADD, SPDDELETE, SPDGET, SPDACQUIRE, SPDDUMP, SPDFLUSH, SPDSETIDX, SPDEXPIRE, SPDDELETE2 = range(13, 23)
NEW_MAPPING, MIGRATE = 23, 24
(E_SA, E_CURRENT, E_HARD, E_SOFT, E_SRC, E_DST, E_PROXY, E_KEY_AUTH, E_KEY_ENCRYPT, E_ID_SRC, E_ID_DST,
 E_SENS, E_PROPOSAL, E_SUPP_AUTH, E_SUPP_ENCRYPT, E_SPIRANGE, E_KMPRIVATE, E_POLICY, E_SA2, E_NATT_TYPE,
 E_NATT_SPORT, E_NATT_DPORT, E_NATT_OAI, E_NATT_OAR, E_NATT_FRAG, E_REPLAY, E_NEW_SRC, E_NEW_DST) = range(1, 29)
E_SEC_CTX, E_KMADDRESS, E_FILTER = 24, 25, 26  # Linux
E_SW_OFFL, E_HW_OFFL, E_IF_HW_OFFL = 29, 30, 31  # FreeBSD 15
AH, ESP, IPCOMP, TCPSIGNATURE = 2, 3, 9, 11
LARVAL, MATURE, DYING, DEAD = range(4)
ANY, TRANSPORT, TUNNEL, BEET_OR_TCPMD5 = range(4)
IN, OUT, FWD = 1, 2, 3
USE, REQUIRE, UNIQUE = 1, 2, 3
DISCARD, NONE, IPSEC, ENTRUST, BYPASS = range(5)

SRC4, DST4 = "192.0.2.1", "198.51.100.7"
SRC6, DST6 = "2001:db8::1", "2001:db8:7::7"


def key(length):
    return bytes((i * 7 + length) & 255 for i in range(length))


def pad8(data):
    return data + b"\0" * (-len(data) % 8)


class Dialect:
    """One system in one byte order."""

    def __init__(self, system, order):
        self.system, self.order, self.e = system, order, BYTE_ORDERS[order]

    def pack(self, form, *values):
        return struct.pack(self.e + form, *values)

    def sockaddr(self, text, port=0):
        address = ipaddress.ip_address(text)
        if address.version == 4:
            family, length = 2, 16
            rest = struct.pack(">H", port) + address.packed + bytes(8)
        else:
            family, length = (10 if self.system == "linux" else 28), 28
            rest = struct.pack(">HI", port, 0) + address.packed + self.pack("I", 0)
        head = self.pack("H", family) if self.system == "linux" else bytes([length, family])
        return head + rest

    def ext(self, kind, body):
        body += bytes(-(len(body) + 4) % 8)
        return self.pack("HH", (len(body) + 4) // 8, kind) + body

    def message(self, kind, satype, *exts, seq=0, pid=0, errno=0, reserved=0):
        body = b"".join(exts)
        assert len(body) % 8 == 0
        return self.pack("BBBBHHII", 2, kind, errno, satype, 2 + len(body) // 8, reserved, seq, pid) + body

    def sa(self, spi, auth=0, encrypt=0, replay=0, state=MATURE, flags=0):
        return self.ext(E_SA, struct.pack(">I", spi) + self.pack("BBBBI", replay, state, auth, encrypt, flags))

    def lifetime(self, kind, allocations=0, byte_count=0, addtime=0, usetime=0):
        return self.ext(kind, self.pack("IQQQ", allocations, byte_count, addtime, usetime))

    def address(self, kind, text, port=0, prefix=None, proto=None):
        bits = 32 if "." in text else 128
        proto = (255 if self.system == "freebsd" else 0) if proto is None else proto
        return self.ext(kind, self.pack("BBH", proto, bits if prefix is None else prefix, 0) + self.sockaddr(text, port))

    def ends(self, src=SRC4, dst=DST4):
        return self.address(E_SRC, src), self.address(E_DST, dst)

    def key(self, kind, data):
        return self.ext(kind, self.pack("HH", len(data) * 8, 0) + data)

    def identity(self, kind, idtype, text):
        return self.ext(kind, self.pack("HHQ", idtype, 0, 0) + text.encode() + b"\0")

    def sensitivity(self):
        return self.ext(E_SENS, self.pack("IBBBBI", 1, 2, 1, 3, 1, 0) + self.pack("QQ", 5, 6))

    def sa2(self, mode, reqid, sequence=0):
        return self.ext(E_SA2, self.pack("BBHII", mode, 0, 0, sequence, reqid))

    def spirange(self, low, high):
        return self.ext(E_SPIRANGE, self.pack("III", low, high, 0))

    def supported(self, kind, *algs):
        return self.ext(kind, self.pack("I", 0) + b"".join(self.pack("BBHHH", *alg, 0) for alg in algs))

    def proposal(self, *combs):
        packed = b"".join(
            self.pack("BBHHHHHIIIQQQQQQ", auth, enc, 0, *bits, 0, 0, 0, 0, 0, *times)
            for auth, enc, bits, times in combs)
        return self.ext(E_PROPOSAL, self.pack("B3x", 32) + packed)

    def natt(self, sport, dport):
        return (self.ext(E_NATT_TYPE, self.pack("B3x", 2)),
                self.ext(E_NATT_SPORT, struct.pack(">H", sport) + bytes(2)),
                self.ext(E_NATT_DPORT, struct.pack(">H", dport) + bytes(2)))

    def request(self, proto, mode, level, reqid, src=None, dst=None):
        ends = b"" if src is None else self.sockaddr(src) + self.sockaddr(dst)
        head = 16 if self.system == "linux" else 8
        length = (head + len(ends) + 7) // 8 * 8
        if self.system == "linux":
            fixed = self.pack("HHBBHII", length, proto, mode, level, 0, reqid, 0)
        else:
            fixed = self.pack("HHBBH", length, proto, mode, level, reqid)
        return pad8(fixed + ends)

    def policy(self, kind, direction, ident, *requests, priority=0, scope=0):
        return self.ext(E_POLICY, self.pack("HBBII", kind, direction, scope, ident, priority) + b"".join(requests))

    def selector(self, src, dst, proto=255, sport=0, dport=0):
        (src_net, src_bits), (dst_net, dst_bits) = src.split("/"), dst.split("/")
        return (self.address(E_SRC, src_net, sport, int(src_bits), proto),
                self.address(E_DST, dst_net, dport, int(dst_bits), proto))


# --- what messages mean, in the words of the portable record ---


def sa_record(spi, src=SRC4, dst=DST4, protocol=50, mode=1, reqid=0, **more):
    return dict(kind="sa", spi=spi, src=src, dst=dst, protocol=protocol, mode=mode, reqid=reqid, **more)


def cipher(ident, data):
    return dict(id=ident, key=data.hex())


def integrity(ident, data, icv):
    return dict(id=ident, key=data.hex(), icvBits=icv)


def policy_record(direction, src, dst, action=0, templates=(), protocol=0, sport=0, dport=0, priority=0, **more):
    return dict(kind="policy", direction=direction, src=src, dst=dst, action=action, templates=list(templates),
                protocol=protocol, srcPort=sport, dstPort=dport, priority=priority, **more)


def template(protocol, mode, src=None, dst=None, reqid=0, optional=False):
    given = {} if src is None else dict(src=src, dst=dst)
    return dict(protocol=protocol, mode=mode, reqid=reqid, optional=optional, **given)


class Vectors:
    def __init__(self):
        self.rows = []

    def add(self, dialect, name, data, **meaning):
        assert len(data) == struct.unpack_from(dialect.e + "H", data, 4)[0] * 8, name
        version, kind, errno, satype, words, reserved, seq, pid = struct.unpack_from(dialect.e + "BBBBHHII", data)
        head = dict(type=kind, errno=errno, satype=satype, reserved=reserved, seq=seq, pid=pid)
        self.rows.append(dict(name=name, order=dialect.order, head=head, **meaning, hex=data.hex()))


# Algorithms: number on the system, IANA number, key bytes, bits of the ICV.
FREEBSD_AUTH = {
    "hmac-sha1": (3, 2, 20, 96), "hmac-sha2-256": (5, 12, 32, 128), "hmac-sha2-384": (6, 13, 48, 192),
    "hmac-sha2-512": (7, 14, 64, 256),
}
FREEBSD_GMAC_AUTH = {16: 11, 24: 12, 32: 13}
LINUX_AUTH = {
    "hmac-md5": (2, 1, 16, 96), "hmac-sha1": (3, 2, 20, 96), "hmac-sha2-384": (6, 13, 48, 192),
    "hmac-sha2-512": (7, 14, 64, 256), "aes-xcbc": (9, 5, 16, 96),
}


def freebsd_dump(d, spi, auth=0, encrypt=0, akey=None, ekey=None, src=SRC4, dst=DST4, mode=TUNNEL, reqid=7,
                 satype=ESP, replay=4, state=MATURE, flags=0, window=None, hard=None, soft=None, current=None,
                 natt=(), sequence=0, seq=0, kind=DUMP, more=()):
    exts = [d.sa(spi, auth, encrypt, replay, state, flags), d.sa2(mode, reqid, sequence)]
    if window is not None:
        exts.append(d.ext(E_REPLAY, d.pack("I", window)))
    if hard is not None:
        exts += [d.lifetime(E_HARD, *hard), d.lifetime(E_SOFT, *soft)]
    exts.append(d.lifetime(E_CURRENT, *(current or (0, 0, NOW - 100, 0))))
    exts += d.ends(src, dst)
    if akey is not None:
        exts.append(d.key(E_KEY_AUTH, akey))
    if ekey is not None:
        exts.append(d.key(E_KEY_ENCRYPT, ekey))
    return d.message(kind, satype, *exts, *natt, *more, seq=seq, pid=4711, reserved=1)


def freebsd_sas(v, d):
    age = dict(ageSeconds=100, replayWindow=32)
    cbc = dict(encryption=cipher(12, key(16)))
    for n, (name, (number, iana, length, icv)) in enumerate(FREEBSD_AUTH.items()):
        v.add(d, f"ESP tunnel, AES-CBC and {name}",
              freebsd_dump(d, 0x1000 + n, number, 12, key(length), key(16), seq=9),
              record=sa_record(0x1000 + n, reqid=7, integrity=integrity(iana, key(length), icv), **cbc, **age))
    sha = dict(integrity=integrity(2, key(20), 96))
    v.add(d, "ESP transport over IPv6, AES-256-CBC",
          freebsd_dump(d, 0x1010, 3, 12, key(20), key(32), SRC6, DST6, TRANSPORT, reqid=0),
          record=sa_record(0x1010, SRC6, DST6, mode=0, encryption=cipher(12, key(32)), **sha, **age))
    v.add(d, "ESP with AES-CTR, its salt at the end of the key",
          freebsd_dump(d, 0x1011, 3, 13, key(20), key(20)), takeover="none",
          record=sa_record(0x1011, reqid=7, encryption=cipher(13, key(20)), **sha, **age))
    for n, size in enumerate((16, 24, 32)):  # the kernel fills in the number of GMAC
        v.add(d, f"ESP with AES-{size * 8}-GCM",
              freebsd_dump(d, 0x1012 + n, FREEBSD_GMAC_AUTH[size], 20, None, key(size + 4)), takeover="none",
              record=sa_record(0x1012 + n, reqid=7, aead=integrity(20, key(size + 4), 128), **age))
    v.add(d, "ESP with ChaCha20-Poly1305",
          freebsd_dump(d, 0x1015, 14, 15, None, key(36)), takeover="none",
          record=sa_record(0x1015, reqid=7, aead=integrity(28, key(36), 128), **age))
    v.add(d, "ESP with null encryption",
          freebsd_dump(d, 0x1016, 5, 11, key(32), b""),
          record=sa_record(0x1016, reqid=7, encryption=cipher(11, b""), integrity=integrity(12, key(32), 128), **age))
    v.add(d, "AH transport", freebsd_dump(d, 0x1017, 5, 0, key(32), mode=TRANSPORT, satype=AH),
          record=sa_record(0x1017, protocol=51, mode=0, reqid=7, integrity=integrity(12, key(32), 128), **age))
    v.add(d, "AH with AES-128-GMAC", freebsd_dump(d, 0x1018, 11, 0, key(20), satype=AH), takeover="none",
          record=sa_record(0x1018, protocol=51, reqid=7, integrity=integrity(9, key(20), 128), **age))
    v.add(d, "IPCOMP with deflate", freebsd_dump(d, 0x1019, 0, 2, satype=IPCOMP, replay=0, mode=TRANSPORT),
          record=sa_record(0x1019, protocol=108, mode=0, reqid=7, compression=dict(id=2), ageSeconds=100))
    v.add(d, "a window of 4096 packets, which only X_SA_REPLAY tells",
          freebsd_dump(d, 0x101a, 3, 12, key(20), key(16), replay=255, window=4096),
          record=sa_record(0x101a, reqid=7, ageSeconds=100, replayWindow=4096, **cbc, **sha))
    v.add(d, "a window of 2040 packets, the greatest without X_SA_REPLAY",
          freebsd_dump(d, 0x101b, 3, 12, key(20), key(16), replay=255),
          record=sa_record(0x101b, reqid=7, ageSeconds=100, replayWindow=2040, **cbc, **sha))
    v.add(d, "NAT-T, limits, use and a sequence number",
          freebsd_dump(d, 0x101c, 3, 12, key(20), key(16), mode=TRANSPORT, hard=(0, 1 << 40, 3600, 600), soft=(0, 0, 2880, 0),
                       current=(5, 6000, NOW - 50, NOW - 20), sequence=77, state=DYING,
                       natt=(d.natt(4500, 40000)[0], d.natt(4500, 40000)[2], d.natt(4500, 40000)[1],
                             d.address(E_NATT_OAI, "10.9.8.7"))),
          record=sa_record(0x101c, mode=0, reqid=7, replayWindow=32, **cbc, **sha, ageSeconds=50, usedSeconds=20,
                           bytes=6000, packets=5, oseq=77, soft=dict(addSeconds=2880),
                           hard=dict(addSeconds=3600, useSeconds=600, bytes=1 << 40),
                           encapsulation=dict(type=2, srcPort=4500, dstPort=40000, original="10.9.8.7")))
    v.add(d, "a limit of packets, which is not heeded",
          freebsd_dump(d, 0x1024, 3, 12, key(20), key(16), hard=(9, 0, 3600, 0), soft=(7, 0, 2880, 0)),
          record=sa_record(0x1024, reqid=7, **cbc, **sha, **age, soft=dict(addSeconds=2880), hard=dict(addSeconds=3600)))
    v.add(d, "ESN", freebsd_dump(d, 0x101d, 5, 12, key(32), key(16), flags=0x400),
          record=sa_record(0x101d, reqid=7, flags=["ESN"], integrity=integrity(12, key(32), 128), **cbc, **age))
    v.add(d, "larval", freebsd_dump(d, 0x101e, state=LARVAL, replay=0, mode=ANY, reqid=0), reading="none")
    v.add(d, "TCP-MD5", freebsd_dump(d, 0x101f, 252, 0, key(16), satype=TCPSIGNATURE, mode=BEET_OR_TCPMD5),
          reading="none")
    for name, number, length in (("3DES", 3, 24), ("CAST", 6, 16), ("BLOWFISH", 7, 16), ("CAMELLIA", 22, 16)):
        v.add(d, f"ESP with {name}, of a kernel before 13.0",
              freebsd_dump(d, 0x1020 + number, 3, number, key(20), key(length)),
              record=sa_record(0x1020 + number, reqid=7,
                               encryption=cipher({3: 3, 6: 6, 7: 7, 22: 23}[number], key(length)), **sha, **age))
    v.add(d, "HMAC-MD5, of a kernel before 13.0", freebsd_dump(d, 0x1040, 2, 12, key(16), key(16)),
          record=sa_record(0x1040, reqid=7, integrity=integrity(1, key(16), 96), **cbc, **age))
    for name, refused, fields in (
        ("an encryption number that nobody has", "encryption algorithm 99 is not known", dict(encrypt=99)),
        ("AES-GCM with an ICV of 8 bytes", "encryption algorithm 18 is not known", dict(encrypt=18)),
        ("AES-GMAC", "encryption algorithm 23 is not known", dict(encrypt=23, auth=11)),
        ("an integrity number that nobody has", "integrity algorithm 98 is not known", dict(auth=98)),
        ("null integrity, whose ICV is of unknown length", "integrity algorithm 251 is not known", dict(auth=251)),
        ("no encryption number", "encryption algorithm 0 is not known", dict(encrypt=0)),
        ("the old format of RFC 1827", "SA flags 0x1 cannot", dict(flags=1)),
        ("flags that nobody has", "SA flags 0x800 cannot", dict(flags=0x800)),
        ("mode any", "no mode is stated", dict(mode=ANY)),
        ("a mode of TCP", "mode 3 is not known", dict(mode=BEET_OR_TCPMD5)),
        ("integrity beside AES-GCM", "integrity algorithm 3 beside SADB_X_EALG_AESGCM16", dict(encrypt=20)),
        ("keys that are all zero", "keys that are all zero", dict(akey=bytes(20))),
        ("no key", "SADB_X_EALG_AESCBC without its key", dict(ekey=None)),
    ):
        given = dict(auth=3, encrypt=12, akey=key(20), ekey=key(16)) | fields
        v.add(d, f"ESP with {name}", freebsd_dump(d, 0x1050, **given), refused=refused)
    v.add(d, "AH without integrity", freebsd_dump(d, 0x1051, satype=AH), refused="AH without integrity")
    v.add(d, "IPCOMP with LZS", freebsd_dump(d, 0x1052, 0, 3, satype=IPCOMP), refused="compression algorithm 3 is not known")
    v.add(d, "ESP without integrity", freebsd_dump(d, 0x1055, 0, 12, None, key(16)),
          record=sa_record(0x1055, reqid=7, **cbc, **age))
    v.add(d, "the original address of the responder",
          freebsd_dump(d, 0x1056, 3, 12, key(20), key(16), mode=TRANSPORT, natt=(*d.natt(4500, 4500), d.address(E_NATT_OAR, DST4))),
          record=sa_record(0x1056, mode=0, reqid=7, **cbc, **sha, **age,
                           encapsulation=dict(type=2, srcPort=4500, dstPort=4500, original="0.0.0.0"),
                           opaque=[dict(type=24, critical=False, value=ipaddress.ip_address(DST4).packed.hex())]))
    v.add(d, "an extension of a later kernel", freebsd_dump(d, 0x1057, 3, 12, key(20), key(16),
                                                            more=(d.ext(40, d.pack("I", 0x01020304)),)),
          record=sa_record(0x1057, reqid=7, **cbc, **sha, **age, opaque=[dict(
              type=40, critical=True,
              value=(b"\1" if d.order == "little" else b"\2").hex() + d.pack("I", 0x01020304).hex())]))
    v.add(d, "the answer to GET", freebsd_dump(d, 0x1053, 3, 12, key(20), key(16), seq=3, kind=GET),
          record=sa_record(0x1053, reqid=7, **cbc, **sha, **age))
    v.add(d, "offload counters of FreeBSD 15",
          freebsd_dump(d, 0x1054, 3, 12, key(20), key(16),
                       more=(d.lifetime(E_SW_OFFL, 1, 2, 3, 4), d.lifetime(E_HW_OFFL, 5, 6, 7, 8),
                             d.ext(E_IF_HW_OFFL, d.pack("I", 1) + b"em0".ljust(32, b"\0")))),
          record=sa_record(0x1054, reqid=7, **cbc, **sha, **age))


def freebsd_policies(v, d):
    net4, net6 = ("10.1.0.0/16", "10.2.0.0/16"), ("2001:db8:a::/48", "2001:db8:b::/48")
    # the kernel sets only the times of these, the other members are what its stack held (key_setdumpsp)
    current = d.lifetime(E_CURRENT, 0xdeadbeef, 0xffff800012345678, NOW - 100, NOW - 10)

    def spd(name, direction, kind=IPSEC, requests=(), nets=net4, proto=255, sport=0, dport=0, priority=0, scope=1,
            life=(), **meaning):
        v.add(d, name, d.message(
            SPDDUMP, 0, *d.selector(*nets, proto, sport, dport),
            d.policy(kind, direction, 0x20, *requests, priority=priority, scope=scope), *life, seq=2, pid=4711,
            reserved=1), **meaning)

    spd("policy in, ESP tunnel, unique", IN, requests=[d.request(50, TUNNEL, UNIQUE, 7, SRC4, DST4)],
        record=policy_record(0, *net4, templates=[template(50, 1, SRC4, DST4, 7)]))
    spd("policy out, ESP tunnel over IPv6, any SA", OUT, nets=net6, priority=0x80000001,
        requests=[d.request(50, TUNNEL, REQUIRE, 0, SRC6, DST6)],
        record=policy_record(1, *net6, priority=0x80000001, templates=[template(50, 1, SRC6, DST6)]))
    spd("policy out, AH and ESP transport, one TCP port", OUT, proto=6, dport=443,
        requests=[d.request(50, TRANSPORT, USE, 0), d.request(51, TRANSPORT, UNIQUE, 16383)],
        record=policy_record(1, *net4, protocol=6, dport=443,
                             templates=[template(50, 0, optional=True), template(51, 0, reqid=16383)]))
    spd("policy that lets through", IN, NONE, record=policy_record(0, *net4))
    spd("policy that blocks", OUT, DISCARD, record=policy_record(1, *net4, action=1))
    spd("policy with a limit, used", OUT, requests=[d.request(50, TRANSPORT, UNIQUE, 3)],
        life=(current, d.lifetime(E_HARD, 0xdeadbeef, 0xffff800012345678, 3600, 0)),
        record=policy_record(1, *net4, ageSeconds=100, templates=[template(50, 0, reqid=3)],
                             hard=dict(addSeconds=3600)))
    spd("policy with a limit of idleness", OUT, requests=[d.request(50, TRANSPORT, UNIQUE, 3)],
        life=(current, d.lifetime(E_HARD, 0, 0, 3600, 60)), refused="policy with a limit of use")
    spd("policy of a socket", IN, ENTRUST, scope=4, reading="none")
    spd("policy of an interface", IN, requests=[d.request(50, TUNNEL, UNIQUE, 7, SRC4, DST4)], scope=2, priority=3,
        reading="none")
    spd("policy that bypasses", IN, BYPASS, refused="policy type 4")
    spd("policy with a request of mode any", OUT, requests=[d.request(50, ANY, REQUIRE, 0)],
        refused="request of any mode")
    spd("policy with a request of mode 3", OUT, requests=[d.request(50, BEET_OR_TCPMD5, REQUIRE, 0)],
        refused="request of mode 3")
    spd("policy with a request of the default level", OUT, requests=[d.request(50, TRANSPORT, 0, 0)],
        refused="request whose level")
    spd("policy of a kernel before scopes", IN, NONE, scope=0, record=policy_record(0, *net4))


def freebsd_messages(v, d):
    ends = d.ends()
    sa = d.sa(0x2000, 3, 12, 4)
    short = d.sa(0x2000)
    for name, kind, more in (
        ("reply to ADD", ADD, (d.lifetime(E_HARD, 0, 0, 3600), d.lifetime(E_SOFT, 0, 0, 2880))),
        ("reply to UPDATE", UPDATE, ()),
        ("reply to UPDATE that moves the SA", UPDATE,
         (d.address(E_NEW_SRC, "192.0.2.9"), d.address(E_NEW_DST, "198.51.100.9"))),
        ("reply to ADD with identities", ADD,
         (d.identity(E_ID_SRC, 2, "gw.example.org"), d.identity(E_ID_DST, 3, "joe@example.org"))),
    ):
        v.add(d, name, d.message(kind, ESP, sa, d.sa2(TUNNEL, 7), *ends, *more, seq=12, pid=4711))
    v.add(d, "reply to GETSPI", d.message(GETSPI, ESP, short, *ends, seq=12, pid=4711))
    v.add(d, "DELETE", d.message(DELETE, ESP, short, *ends, seq=12, pid=4711))
    v.add(d, "DELETE of all SAs between two addresses", d.message(DELETE, ESP, *ends, seq=12, pid=4711))
    v.add(d, "FLUSH of all", d.message(FLUSH, 0, seq=1, pid=4711))
    v.add(d, "FLUSH of AH", d.message(FLUSH, AH, seq=1, pid=4711))
    v.add(d, "SPDFLUSH", d.message(SPDFLUSH, 0, seq=1, pid=4711))
    current = d.lifetime(E_CURRENT, 5, 6000, NOW - 50, NOW - 20)
    for name, kind in (("soft", E_SOFT), ("hard", E_HARD)):
        v.add(d, f"EXPIRE {name}", d.message(EXPIRE, ESP, sa, d.sa2(TUNNEL, 7, 77), current,
                                            d.lifetime(kind, 0, 0, 3600), *ends, seq=99))
    v.add(d, "ACQUIRE", d.message(
        ACQUIRE, ESP, *ends, d.proposal((3, 12, (160, 160, 128, 256), (2880, 3600, 0, 0)),
                                        (5, 12, (256, 256, 128, 256), (2880, 3600, 0, 0))),
        d.policy(IPSEC, OUT, 0x20), seq=1000))
    v.add(d, "reply to REGISTER", d.message(
        REGISTER, ESP, d.supported(E_SUPP_AUTH, (3, 0, 160, 160), (5, 0, 256, 256)),
        d.supported(E_SUPP_ENCRYPT, (12, 16, 128, 256), (20, 8, 160, 288)), seq=2, pid=4711))
    v.add(d, "GETSPI with a range", d.message(GETSPI, ESP, *ends, d.spirange(0x1000, 0x1fff), d.sa2(TUNNEL, 7), seq=3,
                                               pid=4711))
    v.add(d, "dump of nothing, errno ENOENT", d.message(DUMP, 0, errno=2, seq=4, pid=4711))
    v.add(d, "ADD that failed, the whole request with EEXIST", d.message(
        ADD, ESP, sa, d.sa2(TUNNEL, 7), *ends, d.key(E_KEY_AUTH, key(20)), d.key(E_KEY_ENCRYPT, key(16)), errno=17,
        seq=5, pid=4711))
    v.add(d, "PROMISC with a message inside",
          d.message(PROMISC, 0, d.message(FLUSH, 0, seq=6, pid=4712)))
    v.add(d, "ADD with sensitivity", d.message(ADD, ESP, sa, *ends, d.sensitivity(), seq=7, pid=4711))
    net4 = ("10.1.0.0/16", "10.2.0.0/16")
    for name, kind in (("SPDADD", SPDADD), ("SPDUPDATE", SPDUPDATE), ("SPDSETIDX", SPDSETIDX),
                       ("SPDDELETE", SPDDELETE), ("SPDEXPIRE", SPDEXPIRE), ("SPDACQUIRE", SPDACQUIRE)):
        v.add(d, name, d.message(
            kind, 0, d.policy(IPSEC, OUT, 0x21, d.request(50, TUNNEL, UNIQUE, 7, SRC4, DST4)), *d.selector(*net4),
            seq=8, pid=4711))
    v.add(d, "SPDDELETE of a socket's", d.message(SPDDELETE, 0, d.policy(NONE, OUT, 0x21, scope=4), *d.selector(*net4),
                                                  seq=8, pid=4711))
    v.add(d, "SPDDELETE2", d.message(SPDDELETE2, 0, d.policy(NONE, ANY, 0x21), seq=8, pid=4711))
    v.add(d, "FLUSH of TCP-MD5", d.message(FLUSH, TCPSIGNATURE, seq=1, pid=4711))
    v.add(d, "dump that failed", d.message(DUMP, 0, errno=55, seq=4, pid=4711))


def linux_dump(d, spi, auth=0, encrypt=0, akey=None, ekey=None, src=SRC4, dst=DST4, mode=TUNNEL, reqid=7, satype=ESP,
               replay=32, state=MATURE, flags=0, hard=(), soft=(), current=None, proxy="any", natt=(), seq=0, kind=DUMP,
               more=()):
    any_address = "0.0.0.0" if "." in src else "::"
    exts = [d.sa(spi, auth, encrypt, replay, state, flags), d.lifetime(E_HARD, *hard), d.lifetime(E_SOFT, *soft),
            d.lifetime(E_CURRENT, *(current or (0, 0, NOW - 100, 0))), *d.ends(src, dst)]
    if proxy == "any":
        exts.append(d.address(E_PROXY, any_address, prefix=0))
    elif proxy is not None:
        exts.append(proxy)
    if akey is not None:
        exts.append(d.key(E_KEY_AUTH, akey))
    if ekey is not None:
        exts.append(d.key(E_KEY_ENCRYPT, ekey))
    return d.message(kind, satype, *exts, d.sa2(mode, reqid), *natt, *more, seq=seq, pid=4711)


def linux_sas(v, d):
    age = dict(ageSeconds=100, replayWindow=32, reqid=7)
    cbc = dict(encryption=cipher(12, key(16)))
    sha = dict(integrity=integrity(2, key(20), 96))
    for n, (name, (number, iana, length, icv)) in enumerate(LINUX_AUTH.items()):
        v.add(d, f"ESP tunnel, AES-CBC and {name}",
              linux_dump(d, 0x1000 + n, number, 12, key(length), key(16), seq=1),
              record=sa_record(0x1000 + n, integrity=integrity(iana, key(length), icv), **cbc, **age))
    v.add(d, "ESP with SHA2-256, whose truncation nobody tells",
          linux_dump(d, 0x1008, 5, 12, key(32), key(16)), refused="truncation of HMAC-SHA-256",
          assumed=sa_record(0x1008, integrity=integrity(12, key(32), 96), **cbc, **age))
    for name, number, iana, length in (("AES-CTR", 13, 13, 20), ("3DES", 3, 3, 24), ("CAST", 6, 6, 16),
                                       ("BLOWFISH", 7, 7, 16), ("CAMELLIA", 22, 23, 32), ("DES", 2, 2, 8)):
        v.add(d, f"ESP with {name}", linux_dump(d, 0x1010 + number, 3, number, key(20), key(length)),
              record=sa_record(0x1010 + number, encryption=cipher(iana, key(length)), **sha, **age))
    v.add(d, "ESP with null encryption", linux_dump(d, 0x1030, 3, 11, key(20), b""),
          record=sa_record(0x1030, encryption=cipher(11, b""), **sha, **age))
    v.add(d, "ESP with null encryption and no extension for its key", linux_dump(d, 0x1031, 3, 11, key(20)),
          record=sa_record(0x1031, encryption=cipher(11, b""), **sha, **age))
    v.add(d, "ESP transport over IPv6", linux_dump(d, 0x1032, 3, 12, key(20), key(32), SRC6, DST6, TRANSPORT),
          record=sa_record(0x1032, SRC6, DST6, mode=0, encryption=cipher(12, key(32)), **sha, **age))
    v.add(d, "AH transport", linux_dump(d, 0x1033, 3, 0, key(20), mode=TRANSPORT, satype=AH),
          record=sa_record(0x1033, protocol=51, mode=0, **sha, **age))
    v.add(d, "IPCOMP with deflate", linux_dump(d, 0x1034, 0, 2, satype=IPCOMP, replay=0, mode=TRANSPORT),
          record=sa_record(0x1034, protocol=108, mode=0, reqid=7, compression=dict(id=2), ageSeconds=100))
    v.add(d, "NAT-T, limits and use",
          linux_dump(d, 0x1035, 3, 12, key(20), key(16), hard=(9, 1 << 40, 3600, 600), soft=(0, 0, 2880, 0),
                     current=(5, 6000, NOW - 50, NOW - 20), state=DYING, natt=d.natt(4500, 40000)),
          record=sa_record(0x1035, reqid=7, replayWindow=32, **cbc, **sha, ageSeconds=50, usedSeconds=20,
                           bytes=6000, packets=5, oseq=5, soft=dict(addSeconds=2880),
                           hard=dict(addSeconds=3600, useSeconds=600, bytes=1 << 40, packets=9),
                           encapsulation=dict(type=2, srcPort=4500, dstPort=40000, original="0.0.0.0")))
    v.add(d, "flags", linux_dump(d, 0x1036, 3, 12, key(20), key(16), flags=0xe0000000),
          record=sa_record(0x1036, flags=["NO_PMTU_DISC", "DECAP_DSCP", "NO_ECN"], **cbc, **sha, **age))
    v.add(d, "larval", linux_dump(d, 0x1037, state=LARVAL, replay=0, mode=TRANSPORT, reqid=0), reading="none")
    v.add(d, "AEAD: no algorithm and no key", linux_dump(d, 0x1038), refused="does not tell its encryption")
    v.add(d, "AES-CMAC, or another integrity that PF_KEY has no number for",
          linux_dump(d, 0x1039, 0, 12, key(16), key(16)), refused="does not tell its integrity")
    v.add(d, "ESP without integrity", linux_dump(d, 0x103e, 0, 12, None, key(16)),
          record=sa_record(0x103e, **cbc, **age))
    v.add(d, "AH of which nothing is told", linux_dump(d, 0x103f, satype=AH), refused="does not tell its integrity")
    v.add(d, "a window of 0, which may stand for ESN", linux_dump(d, 0x1040, 3, 12, key(20), key(16), replay=0),
          refused="replay window of 0", assumed=sa_record(0x1040, reqid=7, ageSeconds=100, **cbc, **sha))
    v.add(d, "a selector of its own", linux_dump(d, 0x1041, 3, 12, key(20), key(16),
                                                 proxy=d.address(E_PROXY, "10.1.0.0", prefix=16)),
          refused="whole of the SA's selector")
    v.add(d, "a selector of its own, from its source", linux_dump(d, 0x1042, 3, 12, key(20), key(16), proxy=None),
          refused="whole of the SA's selector")
    v.add(d, "a dead one, as UPDATE shows what it has thrown away",
          linux_dump(d, 0x103a, 3, 12, key(20), key(16), state=DEAD, kind=UPDATE))
    v.add(d, "keys that are all zero", linux_dump(d, 0x103b, 3, 12, bytes(20), bytes(16)),
          refused="does not show its keys")
    v.add(d, "BEET", linux_dump(d, 0x103c, 3, 12, key(20), key(16), mode=BEET_OR_TCPMD5,
                                proxy=d.address(E_PROXY, "10.1.0.1")), refused="mode 3 cannot")
    v.add(d, "with a security context", linux_dump(
        d, 0x103d, 3, 12, key(20), key(16), more=(d.ext(E_SEC_CTX, d.pack("BBH", 1, 1, 6) + b"a:b:c\0"),)),
          record=sa_record(0x103d, **cbc, **sha, **age, opaque=[dict(
              type=8, critical=True, value=(d.pack("HHBBH", 13, 8, 1, 1, 5) + b"a:b:c").hex())]))


def linux_policies(v, d):
    net4, net6 = ("10.1.0.0/16", "10.2.0.0/16"), ("2001:db8:a::/48", "2001:db8:b::/48")

    def spd(name, direction, kind=IPSEC, requests=(), nets=net4, proto=255, sport=0, dport=0, priority=2000,
            hard=(), current=(0, 0, NOW - 100, 0), **meaning):
        v.add(d, name, d.message(
            SPDDUMP, 0, *d.selector(*nets, proto, sport, dport), d.lifetime(E_HARD, *hard), d.lifetime(E_SOFT),
            d.lifetime(E_CURRENT, *current), d.policy(kind, direction, 0x20, *requests, priority=priority), seq=2,
            pid=4711, reserved=2), **meaning)

    for name, direction in (("in", IN), ("out", OUT), ("forward", FWD)):
        spd(f"policy {name}, ESP tunnel, unique", direction, requests=[d.request(50, TUNNEL, UNIQUE, 7, SRC4, DST4)],
            record=policy_record(direction - 1, *net4, ageSeconds=100, priority=2000,
                                 templates=[template(50, 1, SRC4, DST4, 7)]))
    spd("policy out, ESP tunnel over IPv6, any SA", OUT, nets=net6,
        requests=[d.request(50, TUNNEL, REQUIRE, 0, SRC6, DST6)],
        record=policy_record(1, *net6, ageSeconds=100, priority=2000, templates=[template(50, 1, SRC6, DST6)]))
    spd("policy out, AH and ESP transport, one TCP port", OUT, proto=6, dport=443,
        requests=[d.request(50, TRANSPORT, USE, 0), d.request(51, TRANSPORT, UNIQUE, 16383)],
        record=policy_record(1, *net4, ageSeconds=100, priority=2000, protocol=6, dport=443,
                             templates=[template(50, 0, optional=True), template(51, 0, reqid=16383)]))
    spd("policy that lets through", IN, NONE, record=policy_record(0, *net4, ageSeconds=100, priority=2000))
    spd("policy that blocks", OUT, DISCARD, record=policy_record(1, *net4, ageSeconds=100, priority=2000, action=1))
    spd("policy of a socket", 4, NONE, reading="none")
    spd("policy with a limit, used", OUT, requests=[d.request(50, TRANSPORT, UNIQUE, 3)], hard=(0, 0, 3600, 60),
        current=(0, 0, NOW - 100, NOW - 10),
        record=policy_record(1, *net4, ageSeconds=100, usedSeconds=10, priority=2000,
                             templates=[template(50, 0, reqid=3)], hard=dict(addSeconds=3600, useSeconds=60)))
    spd("policy with a BEET request, which has no addresses", OUT,
        requests=[d.request(50, BEET_OR_TCPMD5, UNIQUE, 7)], refused="mode 3 cannot")
    spd("policy with a reqid that is out of reach", OUT,
        requests=[d.request(50, TUNNEL, UNIQUE, 0x4000, SRC4, DST4)],
        record=policy_record(1, *net4, ageSeconds=100, priority=2000,
                             templates=[template(50, 1, SRC4, DST4, 0x4000)]))
    spd("policy with a tunnel of another family", OUT, nets=net6,
        requests=[d.request(50, TUNNEL, UNIQUE, 7, SRC4, DST4)], refused="inner packets are of another family")


def linux_messages(v, d):
    ends = d.ends()
    shown = sa_record(0x2000, reqid=7, ageSeconds=100, replayWindow=32, encryption=cipher(12, key(16)),
                      integrity=integrity(2, key(20), 96))
    v.add(d, "ADD by another process, with its keys", linux_dump(d, 0x2000, 3, 12, key(20), key(16), kind=ADD, seq=5),
          record=shown)
    v.add(d, "UPDATE of a larval one", linux_dump(d, 0x2000, 3, 12, key(20), key(16), kind=UPDATE, seq=5), record=shown)
    v.add(d, "the answer to GET", linux_dump(d, 0x2000, 3, 12, key(20), key(16), kind=GET, seq=5), reading="answer")
    v.add(d, "reply to GETSPI", linux_dump(d, 0x2001, state=LARVAL, replay=0, kind=GETSPI, seq=12))
    v.add(d, "DELETE", linux_dump(d, 0x2000, 3, 12, kind=DELETE, seq=6))
    v.add(d, "FLUSH of all", d.message(FLUSH, 0, seq=1, pid=4711))
    v.add(d, "FLUSH of AH", d.message(FLUSH, AH, seq=1, pid=4711))
    v.add(d, "SPDFLUSH", d.message(SPDFLUSH, 0, seq=1, pid=4711))
    current = d.lifetime(E_CURRENT, 5, 6000, NOW - 50, NOW - 20)
    for name, kind, state in (("soft", E_SOFT, DYING), ("hard", E_HARD, DEAD)):
        v.add(d, f"EXPIRE {name}", d.message(EXPIRE, ESP, d.sa(0x2000, 3, 12, 32, state), d.lifetime(kind, 0, 0, 3600),
                                            current, *ends, d.sa2(TUNNEL, 7)))
    v.add(d, "ACQUIRE", d.message(
        ACQUIRE, ESP, *ends, d.proposal((3, 12, (160, 160, 128, 256), (2880, 3600, 0, 0))), d.policy(IPSEC, OUT, 0x20),
        seq=1000))
    v.add(d, "reply to REGISTER", d.message(
        REGISTER, ESP, d.supported(E_SUPP_AUTH, (251, 0, 0, 0), (3, 0, 160, 160), (5, 0, 256, 256)),
        d.supported(E_SUPP_ENCRYPT, (11, 0, 0, 0), (12, 8, 128, 256)), seq=2, pid=4711))
    v.add(d, "NAT-T mapping that has changed", d.message(
        NEW_MAPPING, ESP, d.sa(0x2000, 3, 12), *(d.address(E_SRC, DST4), d.natt(0, 4500)[1]),
        *(d.address(E_DST, "198.51.100.9"), d.natt(0, 4501)[2]), seq=1001))
    v.add(d, "dump of nothing, errno ENOENT", d.message(DUMP, 0, errno=2, seq=4, pid=4711))
    v.add(d, "ADD that failed, a header with EEXIST", d.message(ADD, ESP, errno=17, seq=5, pid=4711))
    v.add(d, "DUMP with a filter", d.message(
        DUMP, 0, d.ext(E_FILTER, ipaddress.ip_address(SRC4).packed + bytes(12) + ipaddress.ip_address(DST4).packed
                       + bytes(12) + d.pack("HBB", 2, 32, 32)), seq=9, pid=4711))
    v.add(d, "MIGRATE", d.message(
        MIGRATE, 0, *d.selector("10.1.0.0/16", "10.2.0.0/16"), d.policy(
            IPSEC, OUT, 0, d.request(50, TUNNEL, UNIQUE, 7, SRC4, DST4),
            d.request(50, TUNNEL, UNIQUE, 7, "192.0.2.9", DST4)),
        d.ext(E_KMADDRESS, d.pack("I", 0) + d.sockaddr(SRC4) + d.sockaddr("192.0.2.9")), seq=10, pid=4711))
    for name, kind in (("SPDADD", SPDADD), ("SPDUPDATE", SPDUPDATE), ("SPDDELETE", SPDDELETE)):
        v.add(d, name, d.message(
            kind, 0, *d.selector("10.1.0.0/16", "10.2.0.0/16"), d.lifetime(E_HARD), d.lifetime(E_SOFT),
            d.lifetime(E_CURRENT, 0, 0, NOW - 100, 0),
            d.policy(IPSEC, OUT, 0x21, d.request(50, TUNNEL, UNIQUE, 7, SRC4, DST4), priority=2000), seq=8, pid=4711,
            reserved=2))


HEAD = """/** Written by make_pfkey_vectors.py; do not edit. PF_KEY messages of %s in both byte orders. */

import type { PfkeyVector } from "./pfkey_vector.ts";

/** Seconds since 1970 at which the dumps are taken. */
export const TAKEN_SECONDS = %d;

export const %s: readonly PfkeyVector[] = """


def main(system):
    v = Vectors()
    parts = {"freebsd": (freebsd_sas, freebsd_policies, freebsd_messages),
             "linux": (linux_sas, linux_policies, linux_messages)}[system]
    for order in BYTE_ORDERS:
        for part in parts:
            part(v, Dialect(system, order))
    name = {"freebsd": ("FreeBSD", "FREEBSD_VECTORS"), "linux": ("Linux", "LINUX_PFKEY_VECTORS")}[system]
    print(HEAD % (name[0], NOW, name[1]) + json.dumps(v.rows, indent=1) + ";")


main(sys.argv[1])

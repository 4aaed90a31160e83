#!/usr/bin/env python3
"""A peer that speaks the classic protocol the way OpenBSD's sasyncd was seen to, its odd habits included.

Written from the facts that were observed of a running copy, and shares no code with the product: AES comes from
the system's libcrypto. It writes a transcript to standard output and takes commands on standard input, one a line:

    state NAME       become INIT, SLAVE, MASTER or FAIL, as when carp(4) says so
    pfkey HEX        as master: a message that the kernel has just shown
    frame TYPE PAD HEX   a frame of this type and padding length, around this plaintext (whole blocks)
    raw HEX          these bytes, in one write
    connect          connect to the peer
    close, reset     close the connection in use, in order or with a reset
    stop, go         stop reading, go on
    quit
"""

import argparse
import ctypes
import ctypes.util
import hashlib
import os
import select
import socket
import struct
import sys
import time

STATES = ["INIT", "SLAVE", "MASTER", "FAIL"]
CTL_STATE, CTL_ERROR, CTL_ACK, CTL_ENDSNAP = 1, 2, 3, 4
SADB = ("RESERVED GETSPI UPDATE ADD DELETE GET ACQUIRE REGISTER EXPIRE FLUSH DUMP X_PROMISC "
        "X_ADDFLOW X_DELFLOW X_GRPSPIS X_ASKPOLICY X_SPDDUMP").split()
NOT_SENT = {"GETSPI", "GET", "DUMP", "ACQUIRE", "REGISTER", "X_ASKPOLICY", "X_PROMISC"}

libcrypto = ctypes.CDLL(ctypes.util.find_library("crypto") or "libcrypto.so.3")
libcrypto.EVP_CIPHER_CTX_new.restype = ctypes.c_void_p


def aes_cbc(key, iv, data, encrypt):
    """AES-CBC of whole blocks, without padding."""
    cipher = getattr(libcrypto, f"EVP_aes_{len(key) * 8}_cbc")
    cipher.restype = ctypes.c_void_p
    context = ctypes.c_void_p(libcrypto.EVP_CIPHER_CTX_new())
    out, length = ctypes.create_string_buffer(len(data) + 32), ctypes.c_int()
    libcrypto.EVP_CipherInit_ex(context, ctypes.c_void_p(cipher()), None, key, iv, int(encrypt))
    libcrypto.EVP_CIPHER_CTX_set_padding(context, 0)
    libcrypto.EVP_CipherUpdate(context, out, ctypes.byref(length), data, len(data))
    libcrypto.EVP_CIPHER_CTX_free(context)
    return out.raw[:length.value]


def seal(key, kind, plain, padlen=None):
    """A frame. With padlen the plaintext has its padding already."""
    if padlen is None:
        padlen = (16 - len(plain) % 16) % 16
        plain += bytes(range(padlen, 0, -1))
    digest = hashlib.sha1(plain[:max(0, len(plain) - padlen)]).digest()
    iv = os.urandom(16)
    blob = struct.pack(">II", kind, padlen) + digest + iv + aes_cbc(key, iv, plain, True)
    return struct.pack(">I", len(blob)) + blob


def open_frame(key, blob):
    kind, padlen = struct.unpack(">II", blob[:8])
    plain = aes_cbc(key, blob[28:44], blob[44:], False)
    plain = plain[:len(plain) - padlen]
    return kind, padlen, plain if hashlib.sha1(plain).digest() == blob[8:28] else None


def describe_pfkey(data):
    if len(data) < 16:
        return f"PFKEY {data.hex()}"
    kind, satype, words = data[1], data[3], struct.unpack("<H", data[4:6])[0]
    text = f"PFKEY {SADB[kind] if kind < len(SADB) else kind} satype {satype}, {len(data)} bytes"
    if words * 8 != len(data):
        text += f" (says {words * 8})"
    rest = data[16:]
    while len(rest) >= 8:
        length, extension = struct.unpack("<HH", rest[:4])
        if length == 0:
            break
        if extension == 1:
            text += f", SPI 0x{rest[4:8].hex()}"
        rest = rest[length * 8:]
    return text


def describe_control(plain):
    kind, data, data2 = struct.unpack(">III", plain[:12])
    name = lambda state: STATES[state] if state < 4 else str(state)
    if kind == CTL_STATE:
        return f"STATE {name(data)}"
    if kind == CTL_ERROR:
        return f"ERROR {data}"
    if kind == CTL_ACK:
        return f"ACK {data} {name(data2)}"
    return "ENDSNAP" if kind == CTL_ENDSNAP else f"CTL {kind} {data} {data2}"


class Peer:
    def __init__(self, options):
        self.options = options
        self.key = bytes.fromhex(options.key[2:]) if options.key.startswith("0x") else options.key.encode()
        self.state = options.state
        self.locked = options.locked
        self.peer_state = "INIT"
        self.sock = None       # the one connection that is read and written
        self.replaced = []     # connections that nobody reads any more
        self.snapshots = []    # times at which to look whether to send one
        self.reading = True
        self.messages = [bytes.fromhex(line.split()[0]) for line in open(options.sadb)] if options.sadb else []
        family = socket.AF_INET6 if ":" in options.listen else socket.AF_INET
        self.listener = socket.socket(family, socket.SOCK_STREAM)
        self.listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self.listener.bind((options.listen, options.port))
        self.listener.listen(10)

    def say(self, text):
        print(text, flush=True)

    # --- connections ---

    def connect(self):
        sock = socket.socket(self.listener.family, socket.SOCK_STREAM)
        sock.bind((self.options.listen, 0))  # loopback has many addresses; the original does not bind
        sock.settimeout(5)
        try:
            sock.connect((self.options.peer, self.options.peer_port or self.options.port))
        except OSError:
            sock.close()
            return self.say("-- not ready yet")
        sock.settimeout(None)
        self.use(sock, "connected to the peer")
        self.control(CTL_STATE, STATES.index(self.state))

    def accept(self):
        sock, (host, *_) = self.listener.accept()
        if host != self.options.peer:
            sock.close()
            return self.say("-- found no matching peer")
        self.use(sock, "connected by the peer")

    def use(self, sock, how):
        if self.sock is not None:
            self.replaced.append(self.sock)
            how += ", in the place of the connection before"
        self.sock = sock
        self.snapshots.append(time.monotonic() + self.options.snapshot_seconds)
        self.say(f"-- {how}")

    def lost(self, why):
        self.sock.close()
        self.sock = None
        self.say(f"-- {why}")

    # --- sending ---

    def write(self, data):
        if self.sock is None:
            return
        try:
            self.sock.sendall(data)
        except BrokenPipeError:
            self.say("!! SIGPIPE: the original would be dead")
            sys.exit(3)
        except OSError as error:
            self.lost(f"removed: {error.strerror}")

    def control(self, kind, data=0, data2=0):
        plain = struct.pack(">III", kind, data, data2)
        self.say(f"> {describe_control(plain)}")
        self.write(seal(self.key, 0, plain))

    def pfkey(self, data):
        self.say(f"> {describe_pfkey(data)}")
        self.write(seal(self.key, 1, data))

    def live(self, data):
        """What the promiscuous socket shows: filtered, UPDATE as ADD."""
        name = SADB[data[1]] if data[1] < len(SADB) else ""
        if self.state != "MASTER" or name in NOT_SENT:
            return
        if name == "FLUSH" and self.options.flushmode == "never":
            return
        self.pfkey(data[:1] + b"\x03" + data[2:] if name == "UPDATE" else data)

    def snapshot(self):
        if self.state != "MASTER":
            return
        if self.options.flushmode == "startup":
            self.pfkey(struct.pack("<BBBBHHII", 2, 9, 0, 0, 2, 0, 1, os.getpid()))
        for message in self.messages:
            self.pfkey(message)
        self.control(CTL_ENDSNAP)

    def set_state(self, state):
        if state == self.state:
            return
        self.state = state
        self.say(f"-- state {state}")
        if self.sock is None:
            self.connect()
        self.control(CTL_STATE, STATES.index(state))

    # --- receiving ---

    def read(self):
        """The length word is read with one read; what comes in pieces is thrown away."""
        try:
            word = self.sock.recv(4)
        except OSError as error:
            return self.lost(f"removed: {error.strerror}")
        if word == b"":
            return self.lost("removed: end of file")
        if len(word) < 4:
            return self.say(f"!! a length word came in pieces: {len(word)} bytes lost")
        length = struct.unpack(">I", word)[0]
        if not 56 <= length <= 4140:
            return self.say(f"!! a length of {length}: 4 bytes lost")
        blob = b""
        while len(blob) < length:
            more = self.sock.recv(length - len(blob))
            if more == b"":
                return self.lost("removed: end of file within a frame")
            blob += more
        if (length - 44) % 16 != 0 or struct.unpack(">I", blob[4:8])[0] > length - 44:
            self.say("!! SIGSEGV: the original would be dead")
            sys.exit(4)
        kind, padlen, plain = open_frame(self.key, blob)
        if plain is None:
            return self.say("!! got bad message (typo in shared key?)")
        want = (16 - len(plain) % 16) % 16
        if padlen != want:
            self.say(f"!! padding of {padlen}, not {want}")
        if kind == 0:
            self.take_control(plain)
        elif kind == 1:
            self.take_pfkey(plain)

    def take_control(self, plain):
        if len(plain) < 12:
            self.say(f"< CTL of {len(plain)} bytes")
            return self.control(CTL_ERROR, 5)
        kind, data, data2 = struct.unpack(">III", plain[:12])
        self.say(f"< {describe_control(plain)}")
        if kind == CTL_STATE:
            if data > 3:
                self.control(CTL_ERROR, CTL_STATE)
            elif STATES[data] == "MASTER" and self.state == "MASTER":
                self.control(CTL_ERROR, CTL_STATE)
            else:
                self.peer_state = STATES[data]
                self.control(CTL_ACK, CTL_STATE, STATES.index(self.state))
        elif kind == CTL_ACK and data == CTL_STATE:
            if data2 > 3:
                self.control(CTL_ERROR, CTL_STATE)
            else:
                self.peer_state = STATES[data2]
        elif kind == CTL_ERROR and data == CTL_STATE and self.locked:
            self.state = "FAIL"  # rereads a carp(4) interface that it has not
            self.say("-- state FAIL")
            self.control(CTL_STATE, 3)
            self.control(CTL_STATE, 3)

    def take_pfkey(self, plain):
        self.say(f"< {describe_pfkey(plain)}")
        if self.peer_state != "MASTER" or self.state == "MASTER":
            if self.state == "MASTER":
                self.control(CTL_STATE, 2)
            else:
                self.control(CTL_ERROR, 0)
            return
        if self.options.record:
            with open(self.options.record, "a") as file:
                file.write(plain.hex() + "\n")

    # --- commands and the loop ---

    def obey(self, line):
        word, *rest = line.split()
        if word == "state":
            self.set_state(rest[0])
        elif word == "pfkey":
            self.live(bytes.fromhex(rest[0]))
        elif word == "frame":
            self.write(seal(self.key, int(rest[0]), bytes.fromhex(rest[2]), int(rest[1])))
        elif word == "raw":
            self.write(bytes.fromhex(rest[0]))
        elif word == "connect":
            self.connect()
        elif word == "close":
            self.lost("closed")
        elif word == "reset":
            self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            self.lost("reset")
        elif word in ("stop", "go"):
            self.reading = word == "go"
        elif word == "quit":
            sys.exit(0)

    def run(self):
        commands = open(0, "rb", buffering=0)  # select knows nothing of a buffer
        self.say("-- listening")
        if self.options.wait:
            commands.readline()
        if self.options.connect:
            self.connect()
        while True:
            self.fire_timers()
            files = [commands, self.listener]
            if self.sock is not None and self.reading:
                files.append(self.sock)
            timeout = max(0, min(self.snapshots) - time.monotonic()) if self.snapshots else None
            ready = select.select(files, [], [], timeout)[0]
            if self.listener in ready:
                self.accept()
            if self.sock in ready:
                self.read()
            if commands in ready:
                line = commands.readline()
                if line == b"":
                    sys.exit(0)
                self.obey(line.decode())

    def fire_timers(self):
        due = [at for at in self.snapshots if at <= time.monotonic()]
        self.snapshots = [at for at in self.snapshots if at not in due]
        for _ in due:
            self.snapshot()


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--listen", required=True)
    parser.add_argument("--peer", required=True)
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--peer-port", type=int, help="where it differs from --port")
    parser.add_argument("--key", required=True, help="0xHEX or ASCII, as in sasyncd.conf")
    parser.add_argument("--state", choices=STATES, default="SLAVE")
    parser.add_argument("--locked", action="store_true", help="mode master or slave, no carp(4) interface")
    parser.add_argument("--flushmode", choices=["startup", "never", "sync"], default="startup")
    parser.add_argument("--connect", action="store_true", help="connect once after listening")
    parser.add_argument("--wait", action="store_true", help="listen, but go on only after a line of standard input")
    parser.add_argument("--sadb", help="file of the kernel's tables: raw messages in hexadecimal, one a line")
    parser.add_argument("--record", help="file for the messages that a slave would write to its kernel")
    parser.add_argument("--snapshot-seconds", type=float, default=2)
    Peer(parser.parse_args()).run()


if __name__ == "__main__":
    main()

"""Traffic whose losses show. A TCP stream that must not break: `stream.py serve PORT` and `stream.py send FROM TO PORT
RATE` (blocks a second). Datagrams that are sent back: `stream.py echo PORT` and `stream.py load TO PORT RATE FROM...`
(datagrams a second, from each of the addresses in turn). Datagrams that nobody answers: `stream.py pour PORT RATE TO...`,
and `stream.py sink PORT` where they go.

Each block is 500 bytes that begin with its number; a gap in the numbers is an error. The receiver prints every 100 ms how
many it has got, and the longest silence since it printed last, in milliseconds. `load` prints each second what it has
sent and got back so far, `pour` what it has sent.
"""
import itertools, socket, struct, sys, time

SIZE = 500
PIECE, BURST = 64, 20
UDP_SEGMENT = 103


def serve(port):
    with socket.create_server(("", port)) as listener:
        print("listening", flush=True)
        stream, _ = listener.accept()
    expected, told, last, silence, rest = 0, 0.0, time.monotonic(), 0.0, b""
    while piece := stream.recv(65536):
        now = time.monotonic()
        silence, last = max(silence, now - last), now
        rest += piece
        while len(rest) >= SIZE:
            (number,) = struct.unpack_from("!I", rest)
            if number != expected:
                sys.exit(f"block {number} where {expected} was due")
            expected, rest = expected + 1, rest[SIZE:]
        if now - told >= 0.1:
            print(f"got {expected} silence {silence * 1000:.0f}", flush=True)
            told, silence = now, 0.0


def paced(rate):
    """Comes back `rate` times a second; what is late is made up for, but for what is later than 0.1 s."""
    due = time.monotonic()
    while True:
        yield
        due = max(due + 1 / rate, time.monotonic() - 0.1)
        time.sleep(max(0.0, due - time.monotonic()))


def send(source, target, port, rate):
    stream = socket.create_connection((target, port), source_address=(source, 0))
    stream.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    for number, _ in enumerate(paced(rate)):
        stream.sendall(struct.pack("!I", number).ljust(SIZE, b"."))


def echo(port):
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as own:
        own.bind(("", port))
        print("listening", flush=True)
        while True:
            piece, who = own.recvfrom(2048)
            own.sendto(piece, who)


def load(target, port, rate, sources):
    sockets = []
    for source in sources:
        own = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        own.bind((source, 0))
        own.connect((target, port))
        own.setblocking(False)
        sockets.append(own)
    sent, got, told = 0, 0, time.monotonic()
    for own, _ in zip(itertools.cycle(sockets), paced(rate)):
        try:
            while own.recv(2048):
                got += 1
        except OSError:
            pass
        try:
            own.send(b"load")
            sent += 1
        except OSError:
            pass
        if time.monotonic() - told >= 1:
            print(f"sent {sent} got {got}", flush=True)
            told = time.monotonic()


def pour(port, rate, targets):
    """Bursts of BURST datagrams that the kernel makes of one piece (UDP_SEGMENT): many more than calls."""
    own = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    own.setsockopt(socket.SOL_UDP, UDP_SEGMENT, PIECE)
    sent, told = 0, time.monotonic()
    for target, _ in zip(itertools.cycle(targets), paced(rate / BURST)):
        own.sendto(bytes(PIECE * BURST), (target, port))
        sent += BURST
        if time.monotonic() - told >= 1:
            print(f"sent {sent}", flush=True)
            told = time.monotonic()


def sink(port):
    """A socket that nobody reads: the kernel drops what its buffer cannot hold, and refuses nothing."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as own:
        own.bind(("", port))
        print("listening", flush=True)
        time.sleep(1e6)


mode, *words = sys.argv[1:]
if mode == "serve":
    serve(int(words[0]))
elif mode == "send":
    send(words[0], words[1], int(words[2]), float(words[3]))
elif mode == "echo":
    echo(int(words[0]))
elif mode == "pour":
    pour(int(words[0]), float(words[1]), words[2:])
elif mode == "sink":
    sink(int(words[0]))
else:
    load(words[0], int(words[1]), float(words[2]), words[3:])

"""A process that is warm: it moves addresses, pulls cables, kills and sends packets within a millisecond.

warm.py FIFO NODE... reads lines from FIFO, of commands with " ; " between them, does them at once, and prints how many
milliseconds a line took. `add NODE ADDRESS/DEVICE...` announces what it adds (gratuitous ARP), `announce` only that,
`del` takes it away; `down PORT...` and `up PORT...` are cables in the guest's own namespace; `kill PID...`; `send NODE
DEVICE FILE` sends the frames of FILE, a line of hexadecimal digits each. IPv4 only.
"""
import ctypes, os, signal, socket, struct, sys, time

ROUTE = 0  # NETLINK_ROUTE
NEWLINK, NEWADDR, DELADDR = 16, 20, 21
REQUEST_ACK, CREATE = 0x5, 0x400
IFA_ADDRESS, IFA_LOCAL, IFLA_IFNAME = 1, 2, 3
ARP = 0x0806


def enter(name):
    with open(f"/run/netns/{name}" if name else "/proc/self/ns/net") as file:
        if ctypes.CDLL(None, use_errno=True).setns(file.fileno(), 0x40000000):
            raise OSError(ctypes.get_errno(), f"setns {name}")


class Place:
    """A namespace: a socket keeps the one that it was made in."""

    def __init__(self, name):
        enter(name)
        self.route = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, ROUTE)
        self.index = dict((device, index) for index, device in socket.if_nameindex())
        self.packet = {}
        for device in self.index:
            self.packet[device] = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, 0)
            self.packet[device].bind((device, 0))

    def ask(self, kind, flags, body):
        self.route.send(struct.pack("=LHHLL", 16 + len(body), kind, REQUEST_ACK | flags, 1, 0) + body)
        error = -struct.unpack_from("=i", self.route.recv(4096), 16)[0]
        if error:
            print(f"message {kind}: {os.strerror(error)}", flush=True)

    def address(self, kind, address, device):
        raw = socket.inet_aton(address)
        head = struct.pack("=BBBBI", socket.AF_INET, 32, 0, 0, self.index[device])
        attributes = b"".join(struct.pack("=HH", 8, which) + raw for which in (IFA_LOCAL, IFA_ADDRESS))
        self.ask(kind, CREATE if kind == NEWADDR else 0, head + attributes)

    def announce(self, address, device):
        out, raw = self.packet[device], socket.inet_aton(address)
        own = out.getsockname()[4]
        body = struct.pack("!HHBBH", 1, 0x0800, 6, 4, 1) + own + raw + b"\xff" * 6 + raw
        for _ in range(3):
            out.send(b"\xff" * 6 + own + struct.pack("!H", ARP) + body)

    def cable(self, port, isUp):
        name = port.encode() + b"\0"
        attribute = struct.pack("=HH", 4 + len(name), IFLA_IFNAME) + name.ljust(-(-len(name) // 4) * 4, b"\0")
        self.ask(NEWLINK, 0, struct.pack("=BBHiII", 0, 0, 0, 0, int(isUp), 1) + attribute)


def do(places, command, *words):
    if command in ("up", "down"):
        for port in words:
            places[""].cable(port, command == "up")
    elif command in ("add", "del", "announce"):
        for address, device in (word.split("/") for word in words[1:]):
            if command != "announce":
                places[words[0]].address(NEWADDR if command == "add" else DELADDR, address, device)
            if command != "del":
                places[words[0]].announce(address, device)
    elif command == "kill":
        for pid in words:
            try:
                os.kill(int(pid), signal.SIGKILL)
            except ProcessLookupError:
                pass
    elif command == "send":
        node, device, path = words
        with open(path) as file:
            for frame in file:
                places[node].packet[device].send(bytes.fromhex(frame))


places = {name: Place(name) for name in ["", *sys.argv[2:]]}
print("warm", flush=True)
# open for writing too, so that it does not come to an end with each writer
for line in os.fdopen(os.open(sys.argv[1], os.O_RDWR)):
    start = time.monotonic()
    for command in line.strip().split(" ; "):
        do(places, *command.split())
    print(f"done {(time.monotonic() - start) * 1000:.1f} ms", flush=True)

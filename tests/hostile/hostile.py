"""What the hostile scenarios share: a victim in an honest swarm, the rules it
is held to whatever is done to it, and peers and trackers that keep to none.

The rules, checked by Victim.survived():
  1. it runs, and no sanitizer spoke (the lab looks at the logs);
  2. its memory never passed a cap that the scenario states;
  3. while under attack the mount went on answering look-ups;
  4. all of the content is read afterwards, from the honest libtorrent seed
     where there is one, and every byte is right.
What an attacker hears, and what the log says of him, is the scenario's own.
"""

import ctypes
import itertools
import os
import re
import socket
import struct
import threading
import time

# Freed memory that AddressSanitizer keeps back is no memory of shoalfs's.
os.environ["ASAN_OPTIONS"] = "quarantine_size_mb=4:" + \
    os.environ.get("ASAN_OPTIONS", "")

from lab import SLOW, Skip, until  # noqa: E402
from shoal import Mount, content_path  # noqa: E402
from swarm import make_torrent, start_seed, write_blob  # noqa: E402

RSS_CAP = 160 << 20     # with the sanitizers' shadow; most of it is theirs
BLOCK = 16384
CHOKE, UNCHOKE, INTERESTED, NOT_INTERESTED, HAVE, BITFIELD, REQUEST, PIECE, \
    CANCEL, PORT = range(10)
SUGGEST, HAVE_ALL, HAVE_NONE, REJECT, ALLOWED_FAST = range(13, 18)
EXTENDED = 20
FAST, EXT = 0x04, 0x100000      # in the last and the sixth reserved byte
_ids = itertools.count()


# ---- the wire ----

def message(kind, body=b""):
    return struct.pack(">IB", 1 + len(body), kind) + body


def block(kind, piece, begin, length):
    return message(kind, struct.pack(">III", piece, begin, length))


def handshake(info_hash, peer_id=None, flags=FAST | EXT):
    peer_id = peer_id or b"-XX0001-%012d" % next(_ids)
    return b"\x13BitTorrent protocol" + struct.pack(">Q", flags) \
        + info_hash + peer_id


class Line:
    """A connection of an attacker, either way."""

    def __init__(self, sock):
        self.sock, self.heard = sock, b""
        sock.settimeout(10 * SLOW)

    @classmethod
    def dial(cls, host, address, source=None):
        sock = host.socket()
        sock.settimeout(10 * SLOW)
        if source:
            sock.bind((source, 0))
        sock.connect(address)
        return cls(sock)

    @property
    def name(self):
        """Our end, as the victim's log has it."""
        return "{}:{}".format(*self.sock.getsockname())

    def send(self, data):
        """False when the other side has closed."""
        try:
            self.sock.sendall(data)
            return True
        except OSError:
            return False

    def take(self, size):
        """Exactly `size` bytes, or b"" at the end."""
        while len(self.heard) < size:
            try:
                more = self.sock.recv(1 << 16)
            except OSError:
                more = b""
            if not more:
                return b""
            self.heard += more
        data, self.heard = self.heard[:size], self.heard[size:]
        return data

    def messages(self):
        """(kind, body) of each, keep-alives left out, until the end."""
        while head := self.take(4):
            size, = struct.unpack(">I", head)
            body = self.take(size) if size else b""
            if body:
                yield body[0], body[1:]
            elif size:
                return

    def closed(self, seconds):
        """True when the other side closes within the time."""
        self.sock.settimeout(0.1)
        deadline = time.monotonic() + seconds * SLOW
        while time.monotonic() < deadline:
            try:
                data = self.sock.recv(1 << 16)
            except TimeoutError:
                continue
            except OSError:
                return True
            if not data:
                return True
            self.heard += data
        return False

    def close(self):
        self.sock.close()


class Server:
    """Accepts on an address; `serve(line)` has a thread for each caller."""

    def __init__(self, host, serve, address=None, port=0):
        self.serve, self.lines = serve, []
        with host.inside():
            self.sock = socket.create_server((address or host.ip4, port),
                                             backlog=512)
        self.address = self.sock.getsockname()
        self.name = "{}:{}".format(*self.address)
        threading.Thread(target=self._accept, daemon=True).start()
        host.lab.defer(self.close)

    def _accept(self):
        while True:
            try:
                sock, _ = self.sock.accept()
            except OSError:
                return
            line = Line(sock)
            line.sock.settimeout(None)
            self.lines.append(line)
            threading.Thread(target=self._run, args=(line,),
                             daemon=True).start()

    def _run(self, line):
        try:
            self.serve(line)
        except OSError:
            pass    # the other side closed, or the scenario is over

    def close(self):
        # A thread inside accept() holds the socket open unless it is shut.
        for sock in [self.sock, *(line.sock for line in self.lines)]:
            try:
                sock.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass
            sock.close()


class Web:
    """An HTTP server that notes each request line, and answers with what
    `answer` says to it."""

    def __init__(self, host, answer, address=None):
        self.heard, self.answer = [], answer
        self.server = Server(host, self._serve, address)
        self.port = self.server.address[1]

    def _serve(self, line):
        while b"\r\n\r\n" not in line.heard:
            more = line.sock.recv(4096)
            if not more:
                return
            line.heard += more
        request = line.heard.split(b"\r\n")[0].decode()
        self.heard.append(request)
        line.send(self.answer(request))
        line.close()


def http_answer(body=b"", status="200 OK", **headers):
    """A whole answer, after which the connection closes."""
    lines = [f"HTTP/1.1 {status}", f"Content-Length: {len(body)}",
             "Connection: close"]
    lines += [f"{name.replace('_', '-')}: {value}"
              for name, value in headers.items()]
    return "\r\n".join(lines).encode() + b"\r\n\r\n" + body


def replace_file(lab, path, text):
    """What processes of the lab read at `path`. Its mounts are its own."""
    if not os.path.exists(path):
        raise Skip(f"there is no {path} to put something else in its place")
    with open(lab.path(os.path.basename(path)), "w") as new:
        new.write(text)
    libc = ctypes.CDLL(None, use_errno=True)
    assert libc.mount(new.name.encode(), path.encode(), None,
                      ctypes.c_ulong(0x1000), None) == 0    # MS_BIND


class Names:
    """The name server of the whole lab. `table` has lists of IPv4 addresses
    for each name, of which each look-up takes the next, and stays with the
    last."""

    def __init__(self, host, table):
        self.table = {name: list(turns) for name, turns in table.items()}
        self.asked = []
        self.sock = host.socket(kind=socket.SOCK_DGRAM)
        self.sock.bind((host.ip4, 53))
        replace_file(host.lab, "/etc/resolv.conf",
                     f"nameserver {host.ip4}\noptions timeout:1\n")
        threading.Thread(target=self._serve, daemon=True).start()
        host.lab.defer(self.sock.close)

    def _serve(self):
        while True:
            try:
                query, where = self.sock.recvfrom(512)
            except OSError:
                return
            self.sock.sendto(self._answer(query), where)

    def _answer(self, query):
        at, labels = 12, []
        while query[at]:
            labels.append(query[at + 1:at + 1 + query[at]].decode())
            at += 1 + query[at]
        kind, = struct.unpack(">H", query[at + 1:at + 3])
        question, found = query[12:at + 5], []
        turns = self.table.get(".".join(labels).lower())
        if turns and kind == 1:     # A; there is no AAAA
            found = turns.pop(0) if len(turns) > 1 else turns[0]
            self.asked.append((".".join(labels), found))
        return query[:2] + struct.pack(
            ">HHHHH", 0x8180 if turns else 0x8183, 1, len(found), 0, 0) \
            + question + b"".join(
                b"\xc0\x0c" + struct.pack(">HHIH", 1, 1, 0, 4)
                + socket.inet_aton(address) for address in found)


def make_film(lab, size=2 << 20, **links):
    """A torrent of one file; `raw` is its info-hash, `content` its bytes.
    `links` are make_torrent's: trackers, web_seeds, http_seeds."""
    torrent = make_torrent(write_blob(lab.path("c", "film.bin"), size, 4711),
                           **links)
    torrent.raw = bytes.fromhex(torrent.v1)
    with open(torrent.path, "rb") as content:
        torrent.content = content.read()
    return torrent


def greet(line, torrent, *messages):
    """As one who is dialled: both handshakes, then messages."""
    if not line.take(68):
        return False
    return line.send(handshake(torrent.raw) + b"".join(messages))


def give(line, torrent, bend=None):
    """Answer requests; `bend(piece, begin, data)` may change the bytes."""
    for kind, body in line.messages():
        if kind != REQUEST:
            continue
        piece, begin, length = struct.unpack(">III", body)
        at = piece * torrent.piece_size + begin
        data = torrent.content[at:at + length]
        if bend:
            data = bend(piece, begin, data)
        if not line.send(message(PIECE, struct.pack(">II", piece, begin)
                                 + data)):
            return


# ---- the victim ----

class Watch:
    """Looks up a new name every few milliseconds, so that each look-up is
    answered by shoalfs and not by the kernel's cache."""

    def __init__(self, mount):
        self.took, self._over = [], threading.Event()
        self._thread = threading.Thread(target=self._run, args=(mount,),
                                        daemon=True)
        self._thread.start()

    def _run(self, mount):
        while not self.took or not self._over.wait(0.02):
            began = time.monotonic()
            os.path.lexists(mount.at(f"none-{len(self.took)}"))
            self.took.append(time.monotonic() - began)

    def stop(self):
        self._over.set()
        self._thread.join()
        return sorted(self.took)


class Victim:
    """shoalfs with one torrent (or `more`), an honest seed, and a host for
    attackers."""

    def __init__(self, hosts, torrent, options=(), seed=True, limits=(),
                 more=()):
        self.host, self.friend, self.rogue = hosts
        self.torrent = torrent
        words = ["port=6881", *options]
        if seed:
            self.seed = start_seed(self.friend, torrent, *limits)
            words.append(f"peer={self.seed.address}")
        self.mount = Mount(self.host, "-d", self.torrent.file, *more,
                           options=words, name=f"mnt{next(_ids)}")
        self.path = content_path(self.mount, self.torrent)
        self.address = (self.host.ip4, 6881)
        self.watch = Watch(self.mount)

    def dial(self, *messages, flags=FAST | EXT, peer_id=None, source=None):
        """An attacker that comes in and says these messages."""
        line = Line.dial(self.rogue, self.address, source)
        line.send(handshake(self.torrent.raw, peer_id, flags)
                  + b"".join(messages))
        return line

    def log(self):
        """The lines of the log but for libfuse's own."""
        return [line for line in self.mount.proc.text().splitlines()
                if "unique:" not in line]

    def ended(self, name):
        """The reasons in the log for which the peer was ended."""
        said = f"peer {name} ends: "
        return [line.split(said)[1] for line in self.log() if said in line]

    def memory(self):
        """The most memory it has had, in bytes."""
        with open(f"/proc/{self.mount.daemon()}/status") as status:
            return 1024 * int(re.search(r"VmHWM:\s+(\d+)",
                                        status.read()).group(1))

    def status(self):
        return self.mount.status()["torrents"][0]

    def webs(self):
        """What the status says of each web seed, in the torrent's order."""
        return [peer for peer in self.status()["peers"] if peer["url"]]

    def read(self, end=None):
        """From the start; every byte is right."""
        with open(self.path, "rb") as got:
            assert got.read(end) == self.torrent.content[:end]

    def survived(self, cap=RSS_CAP, is_readable=True):
        took = self.watch.stop()
        if is_readable:
            self.read()
        assert self.mount.proc.running(), self.log()
        used, median = self.memory(), took[len(took) // 2]
        print(f"{used >> 20} MiB; look-ups {median * 1000:.1f} ms, "
              f"at most {took[-1] * 1000:.0f} ms")
        assert used < cap, used
        assert median < 0.05 * SLOW and took[-1] < 1.5 * SLOW, took[-9:]
        assert self.mount.stop() == 0, self.log()


def link_hosts(lab):
    hosts = lab.hosts("victim", "friend", "rogue")
    lab.link(*hosts)
    return hosts


def add_addresses(host, count):
    """More addresses of the host: liars are banned by theirs."""
    found = [f"203.0.113.{100 + index}" for index in range(count)]
    for address in found:
        host.lab.ip("-n", host.name, "addr", "add", f"{address}/24",
                    "dev", "net0")
    return found


__all__ = [name for name in dir() if not name.startswith("_")] + ["until"]

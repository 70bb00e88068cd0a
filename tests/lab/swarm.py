"""Content, torrents, and the other people's programs that serve them.

Every start_* returns only when the thing answers. Peers of libtorrent listen
on PEER_PORT of their host, if they are not told another; each host runs one."""

import hashlib
import http.client
import json
import os
import random
import subprocess
import urllib.parse

from lab import HERE, Skip, need, until

PEER_PORT = 7000
TRACKER_PORT = 6969
WEB_PORT = 8080
PIECE = 65536


def libtorrent():
    try:
        import libtorrent as module
    except ImportError as error:
        raise Skip("python3-libtorrent is not installed") from error
    return module


# ---- content ----

def write_blob(path, size, seed):
    """`size` bytes that only `seed` decides."""
    source = random.Random(seed)
    os.makedirs(os.path.dirname(path), exist_ok=True)
    with open(path, "wb") as out:
        while size > 0:
            out.write(source.randbytes(min(size, 1 << 20)))
            size -= 1 << 20
    return path


def write_tree(root, seed):
    """A tree of the shapes that trip clients: sub-directories, an empty file,
    names beyond ASCII, files that end inside a piece and share one."""
    sizes = {
        "a first.bin": 3 * PIECE + 17,
        "empty": 0,
        "one byte": 1,
        "sub/exact.bin": 2 * PIECE,
        "sub/deeper/größe – 東京 🐟.txt": 33_333,
        "sub/deeper/zz": PIECE - 1,
        "tail.bin": 5 * PIECE + 4321,
    }
    for index, (name, size) in enumerate(sizes.items()):
        write_blob(os.path.join(root, name), size, (seed << 8) + index)
    return root


def digest(path):
    """SHA-256 of a file, in hex."""
    with open(path, "rb") as data:
        return hashlib.file_digest(data, "sha256").hexdigest()


def tree_digest(root):
    """{path below root: SHA-256} of every file."""
    found = {}
    for folder, _, names in os.walk(root):
        for name in names:
            path = os.path.join(folder, name)
            found[os.path.relpath(path, root)] = digest(path)
    return found


# ---- torrents ----

class Torrent:
    """A .torrent of content at `path`; `path`'s last part is its name."""

    def __init__(self, file, path):
        info = libtorrent().torrent_info(file)
        hashes = info.info_hashes()
        self.file, self.path = file, path
        self.name, self.parent = os.path.basename(path), os.path.dirname(path)
        self.v1 = str(hashes.v1) if hashes.has_v1() else None
        self.v2 = str(hashes.v2) if hashes.has_v2() else None
        self.pieces, self.piece_size = info.num_pieces(), info.piece_length()
        self.size = info.total_size()

    def magnet(self, peers=(), trackers=()):
        words = [f"xt=urn:btih:{self.v1}"] if self.v1 else []
        words += [f"xt=urn:btmh:1220{self.v2}"] if self.v2 else []
        words += [f"tr={urllib.parse.quote(url, '')}" for url in trackers]
        words += [f"x.pe={peer}" for peer in peers]
        return "magnet:?" + "&".join(words)


def make_torrent(path, kind="v1", piece=PIECE, trackers=(), file=None,
                 private=False, web_seeds=(), http_seeds=()):
    """Write a .torrent of `kind` v1, v2 or hybrid beside the content."""
    lt = libtorrent()
    flags = {"v1": lt.create_torrent.v1_only, "v2": lt.create_torrent.v2_only,
             "hybrid": 0}[kind]
    storage = lt.file_storage()
    lt.add_files(storage, path)
    maker = lt.create_torrent(storage, piece_size=piece, flags=flags)
    for tier, url in enumerate(trackers):
        maker.add_tracker(url, tier)
    maker.set_priv(private)
    for url in web_seeds:
        maker.add_url_seed(url)
    for url in http_seeds:
        maker.add_http_seed(url)
    lt.set_piece_hashes(maker, os.path.dirname(path))
    file = file or f"{path}.{kind}.torrent"
    with open(file, "wb") as out:
        out.write(lt.bencode(maker.generate()))
    return Torrent(file, path)


# ---- trackers ----

def tracker_url(host, scheme="http"):
    return f"{scheme}://{host.ip4}:{TRACKER_PORT}/announce"


def start_opentracker(host, info_hashes):
    """Debian's build serves the listed info-hashes only; the list's path is
    one inside the directory it changes its root to."""
    program = need("opentracker")
    root = host.lab.fresh_dir("opentracker")
    with open(os.path.join(root, "list"), "w") as out:
        out.writelines(f"{name}\n" for name in info_hashes)
    proc = host.start([program, "-i", host.ip4, "-p", TRACKER_PORT,
                       "-P", TRACKER_PORT, "-d", root, "-w", "list"])
    probe = urllib.parse.quote(bytes.fromhex(info_hashes[-1]), "")
    path = (f"/announce?info_hash={probe}&peer_id=-XX0000-000000000000"
            "&port=1&left=0&compact=1&event=stopped")

    def serves_the_list():
        with host.inside():
            line = http.client.HTTPConnection(host.ip4, TRACKER_PORT,
                                              timeout=2)
            try:
                line.request("GET", path)
                return b"failure" not in line.getresponse().read()
            except (OSError, http.client.HTTPException):
                return False
            finally:
                line.close()
    until(serves_the_list, 10, "opentracker")
    return proc


# ---- web seeds ----

def web_url(host, path=""):
    return f"http://{host.ip4}:{WEB_PORT}/{path}"


def piece_map(torrent):
    """What web_server.py needs to hand out pieces; the path of that."""
    files = libtorrent().torrent_info(torrent.file).files()
    pad = libtorrent().file_flags_t.flag_pad_file
    found = {"hash": torrent.v1, "piece": torrent.piece_size, "files": [
        (None if files.file_flags(at) & pad else files.file_path(at),
         files.file_size(at)) for at in range(files.num_files())]}
    path = torrent.file + ".pieces"
    with open(path, "w") as out:
        json.dump(found, out)
    return path


def start_web(host, root, *options):
    """web_server.py over the directory `root`."""
    proc = host.start(["/usr/bin/python3", os.path.join(HERE, "web_server.py"),
                       host.ip4, WEB_PORT, root, *options])
    until(lambda: host.listening(WEB_PORT), 10, "the web server")
    return proc


# ---- peers ----

class HashRace(OSError):
    """libtorrent stopped with its error 217, "v1 and v2 hashes do not describe
    the same data"."""


class LtPeer:
    """lt_peer.py on a host, spoken to by its commands."""

    def __init__(self, host, *arguments, port=PEER_PORT):
        libtorrent()
        self.address = f"{host.ip4}:{port}"
        self.address6 = f"[{host.ip6}]:{port}"
        self.proc = host.start(
            ["/usr/bin/python3", os.path.join(HERE, "lt_peer.py"), *arguments],
            f"{host.name}-libtorrent", stdin=subprocess.PIPE,
            stdout=subprocess.PIPE)
        until(lambda: self.status()["port"] == port, 10,
              "libtorrent listens")

    def ask(self, command):
        self.proc.stdin.write(command.encode() + b"\n")
        self.proc.stdin.flush()
        line = self.proc.stdout.readline()
        if not line:
            raise OSError(f"libtorrent ended: {self.proc.text()}")
        return json.loads(line)

    def status(self):
        return self.ask("status")

    def wait(self, key, seconds):
        """The status in which `key` is true at last; "complete" is on disk."""
        def reached():
            status = self.status()
            if any("(217 " in error for error in status["errors"]):
                raise HashRace(status["errors"])
            return status if status[key] else None
        try:
            status = until(reached, seconds, f"libtorrent {key}")
            if key == "complete":
                self.ask("flush")
            return status
        except TimeoutError as error:
            raise TimeoutError(f"{error}; {self.status()}") from None

    def stop(self):
        return self.proc.stop()


def _listen(host, ipv6, port=PEER_PORT):
    return f"[{host.ip6}]:{port}" if ipv6 else f"{host.ip4}:{port}"


def start_seed(host, torrent, *options, ipv6=False, port=PEER_PORT,
               seconds=10):
    """libtorrent serving the content in place."""
    peer = LtPeer(host, "--torrent", torrent.file, "--save", torrent.parent,
                  "--listen", _listen(host, ipv6, port), "--seed", *options,
                  port=port)
    peer.wait("complete", seconds)
    return peer


SEEDS = """
import sys
import libtorrent as lt
session = lt.session({"listen_interfaces": sys.argv[1], "enable_dht": False,
                      "enable_lsd": False, "enable_upnp": False,
                      "enable_natpmp": False, "active_limit": -1,
                      "active_seeds": -1, "unchoke_slots_limit": -1})
for file in sys.argv[3:]:
    new = lt.add_torrent_params()
    new.ti = lt.torrent_info(file)
    new.save_path = sys.argv[2]
    new.flags = lt.torrent_flags.seed_mode
    session.add_torrent(new)
print("ready", flush=True)
sys.stdin.read()
"""


def start_seeds(host, torrents, port=PEER_PORT):
    """One libtorrent that serves many torrents in place, from one directory;
    its address is with it."""
    libtorrent()
    address = f"{host.ip4}:{port}"
    proc = host.start(
        ["/usr/bin/python3", "-c", SEEDS, address, torrents[0].parent,
         *(torrent.file for torrent in torrents)], f"{host.name}-seeds",
        stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    if proc.stdout.readline() != b"ready\n":
        raise OSError(f"libtorrent ended: {proc.text()}")
    proc.address = address
    return proc


def start_leech(host, torrent, into, *options, ipv6=False, port=PEER_PORT):
    """libtorrent fetching into the directory `into`."""
    return LtPeer(host, "--torrent", torrent.file, "--save", into,
                  "--listen", _listen(host, ipv6, port), *options, port=port)


class MagnetLeech:
    """libtorrent that fetches a torrent by its magnet from one peer.

    libtorrent before 2.0.11 may give up a hybrid whose data and hashes are
    right, with error 217: when a file's piece layer comes after one of the
    pieces had passed by its v1 hash and before all of its blocks were on disk,
    torrent::add_hashes() takes the piece, which v2 says is right, for one that
    v1 refused, for there have_piece() means "on disk". Two libtorrents do so
    between them when `hashes` are held up for 0.1 s. So whoever ends with just
    that begins anew, with nothing; hashes or data that are wrong are wrong each
    time."""

    TRIES = 4

    def __init__(self, lab, host, torrent, address, port=PEER_PORT):
        self.lab, self.host, self.torrent = lab, host, torrent
        self.address, self.port = address, port
        self._start()

    def _start(self):
        self.into = self.lab.fresh_dir(f"magnet-{self.torrent.name}")
        self.peer = LtPeer(
            self.host, "--magnet", self.torrent.magnet(), "--save", self.into,
            "--listen", f"{self.host.ip4}:{self.port}", "--no-tracker",
            "--peer", self.address, port=self.port)

    def complete(self, seconds):
        """Until it has everything; it is ended. The path of what it has."""
        for left in reversed(range(self.TRIES)):
            try:
                self.peer.wait("complete", seconds)
                break
            except HashRace:
                if not (left and self.torrent.v1 and self.torrent.v2):
                    raise
                self.peer.stop()
                self._start()
        self.peer.stop()
        return os.path.join(self.into, self.torrent.name)


def transmission_rpc(host, session, method, **arguments):
    """One call; `session` is the mutable header that the daemon insists on."""
    body = json.dumps({"method": method, "arguments": arguments})
    for _ in range(2):
        with host.inside():
            line = http.client.HTTPConnection("127.0.0.1", 9091, timeout=5)
            line.request("POST", "/transmission/rpc", body, session)
            reply = line.getresponse()
        text = reply.read()
        line.close()
        if reply.status != 409:
            return json.loads(text)["arguments"]
        session["X-Transmission-Session-Id"] = \
            reply.headers["X-Transmission-Session-Id"]
    raise OSError("transmission refuses its own session")


def transmission_settings(host, folder):
    """For settings.json; its content is in, or goes to, the folder."""
    return {
        "bind-address-ipv4": host.ip4, "peer-port": PEER_PORT,
        "dht-enabled": False, "lpd-enabled": False, "pex-enabled": False,
        "utp-enabled": False, "port-forwarding-enabled": False,
        "download-dir": folder, "encryption": 1,
        "rpc-bind-address": "127.0.0.1", "rpc-whitelist-enabled": False,
        "cache-size-mb": 16, "watch-dir-enabled": False,
    }


def start_transmission(host, torrent):
    """transmission-daemon seeding the content in place. It has verified it and
    told a tracker of it when this returns."""
    program = need("transmission-daemon")
    home = host.lab.fresh_dir("transmission")
    with open(os.path.join(home, "settings.json"), "w") as out:
        json.dump(transmission_settings(host, torrent.parent), out)
    proc = host.start([program, "--foreground", "--config-dir", home])
    until(lambda: host.listening(9091, "127.0.0.1"), 20, "transmission RPC")
    session = {}
    transmission_rpc(host, session, "torrent-add", filename=torrent.file)

    def seeds():
        listed = transmission_rpc(
            host, session, "torrent-get",
            fields=["status", "percentDone", "trackerStats"])["torrents"]
        return listed and listed[0]["status"] == 6 \
            and listed[0]["percentDone"] == 1 \
            and any(tracker["lastAnnounceSucceeded"]
                    for tracker in listed[0]["trackerStats"])
    until(seeds, 30, "transmission seeds")
    return proc


def start_aria2(host, torrent, into):
    """aria2 fetching; its exit code 0 means that it has everything. It speaks
    HTTP to trackers only."""
    return host.start([
        need("aria2c"), "--dir", into, "--seed-time=0", "--enable-dht=false",
        "--enable-dht6=false", "--bt-enable-lpd=false",
        "--enable-peer-exchange=false", f"--listen-port={PEER_PORT}",
        "--file-allocation=none", "--bt-tracker-interval=1", "--no-conf",
        torrent.file])

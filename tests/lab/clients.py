"""Everybody else's clients, with one face, for tests that want all of them.

    client = Transmission(host, torrent, into, peers=[...])
    client.wait_checked()        it listens, and knows which pieces it has
    client.pieces()              how many that is
    client.wait_complete(20)
    client.stop()

Each starts from whatever lies in the directory `into` under the torrent's name,
checks it piece by piece, and shares what is right. Only the torrent's own
trackers and `peers` ("HOST:PORT") tell it of others: DHT, LAN discovery and
peer exchange are off. All listen on PEER_PORT of their host, so each host runs
one; their control ports are on loopback or in files of the lab."""

import base64
import http.client
import json
import os
import socket
import urllib.parse
import xmlrpc.client

from lab import need, until
from swarm import (PEER_PORT, start_leech, transmission_rpc,
                   transmission_settings)

CHECK_SECONDS = 30


class Client:
    """`proc` is the program; one that ends by itself fails every wait."""

    def __init__(self, host, torrent):
        self.host, self.torrent = host, torrent
        self.address = f"{host.ip4}:{PEER_PORT}"

    def pieces(self):
        raise NotImplementedError

    def is_checked(self):
        raise NotImplementedError

    def is_complete(self):
        return self.pieces() == self.torrent.pieces

    def _wait(self, condition, seconds, what):
        def holds():
            if not self.proc.running():
                raise OSError(f"{self.proc.name} ended: {self.proc.text()}")
            return condition()
        until(holds, seconds, f"{type(self).__name__} {what}")

    def wait_checked(self, seconds=CHECK_SECONDS):
        self._wait(lambda: self.is_checked() and self.host.listening(PEER_PORT),
                   seconds, "is ready")

    def wait_complete(self, seconds):
        try:
            self._wait(self.is_complete, seconds, "is complete")
        except TimeoutError as error:
            raise TimeoutError(f"{error}; {self.pieces()} of "
                               f"{self.torrent.pieces} pieces") from None

    def stop(self):
        return self.proc.stop(10)


class Libtorrent(Client):
    def __init__(self, host, torrent, into, peers=()):
        super().__init__(host, torrent)
        words = [word for peer in peers for word in ("--peer", peer)]
        self._peer = start_leech(host, torrent, into, *words)
        self.proc = self._peer.proc

    def pieces(self):
        return self._peer.status()["pieces"]

    def is_checked(self):
        return "checking" not in self._peer.status()["state"]


class Transmission(Client):
    """`dht`: the addresses of nodes that it knows from its last run, of one
    family, and that is the only one it is in then; it wants nine before it believes in them. Without any it has no DHT. With
    `later` the torrent is not added before add()."""

    def __init__(self, host, torrent, into, peers=(), dht=(), later=False):
        super().__init__(host, torrent)
        home = host.lab.fresh_dir("transmission")
        settings = transmission_settings(host, into)
        settings["dht-enabled"] = bool(dht)
        if dht and family_of(dht[0]) == socket.AF_INET6:
            settings["bind-address-ipv4"] = "127.0.0.1"
        with open(os.path.join(home, "settings.json"), "w") as out:
            json.dump(settings, out)
        if dht:
            with open(os.path.join(home, "dht.dat"), "wb") as out:
                out.write(_dht_dat(dht))
        self._session = {}
        self.proc = host.start([need("transmission-daemon"), "--foreground",
                                "--config-dir", home])
        self._wait(lambda: host.listening(9091, "127.0.0.1"), 20, "RPC")
        # It has no way to be told of a peer: they find it.
        assert not peers, "transmission cannot be told of peers"
        if not later:
            self.add()

    def add(self):
        transmission_rpc(self.host, self._session, "torrent-add",
                         filename=self.torrent.file)

    def _ask(self, *fields):
        answer = transmission_rpc(self.host, self._session, "torrent-get",
                                  fields=fields)
        return answer["torrents"][0]

    def pieces(self):
        bits = base64.b64decode(self._ask("pieces")["pieces"])
        return sum(byte.bit_count() for byte in bits)

    def is_checked(self):
        now = self._ask("status", "recheckProgress")
        return now["status"] in (4, 6)      # downloading, seeding


def _dht_dat(nodes):
    """What Transmission knows of the DHT: an id, and compact addresses."""
    compact = b""
    for node in nodes:
        address, port = node.rsplit(":", 1)
        compact += socket.inet_pton(family_of(node), address.strip("[]"))
        compact += int(port).to_bytes(2, "big")
    name = b"6:nodes6" if family_of(nodes[0]) == socket.AF_INET6 else b"5:nodes"
    return b"d2:id20:%s%s%d:%se" % (os.urandom(20), name, len(compact), compact)


def family_of(node):
    return socket.AF_INET6 if node.startswith("[") else socket.AF_INET


class Aria2(Client):
    """It ends itself when it seeds no more; here it never does."""
    RPC_PORT = 6800

    def __init__(self, host, torrent, into, peers=()):
        super().__init__(host, torrent)
        assert not peers, "aria2 cannot be told of peers"
        self.proc = host.start([
            need("aria2c"), "--dir", into, "--seed-ratio=0.0", "--no-conf",
            "--check-integrity=true", "--enable-dht=false",
            "--enable-dht6=false", "--bt-enable-lpd=false",
            "--enable-peer-exchange=false", f"--listen-port={PEER_PORT}",
            "--file-allocation=none", "--bt-tracker-interval=1",
            "--enable-rpc=true", f"--rpc-listen-port={self.RPC_PORT}",
            "--allow-overwrite=true", torrent.file])
        self._wait(lambda: host.listening(self.RPC_PORT, "127.0.0.1"), 20,
                   "RPC")

    def _ask(self, *keys):
        """Of the one download; {} while it has none."""
        body = json.dumps({"jsonrpc": "2.0", "id": "lab",
                           "method": "aria2.tellActive", "params": [keys]})
        answer = _post(self.host, self.RPC_PORT, "/jsonrpc", body)
        return next(iter(json.loads(answer)["result"]), {})

    def pieces(self):
        return int(self._ask("bitfield").get("bitfield", "0"), 16).bit_count()

    def is_checked(self):
        now = self._ask("verifiedLength", "verifyIntegrityPending", "status")
        return bool(now) and not {"verifiedLength",
                                  "verifyIntegrityPending"} & set(now)


class Qbittorrent(Client):
    """qbittorrent-nox; it takes orders from loopback without a password."""
    WEB_PORT = 8090

    def __init__(self, host, torrent, into, peers=()):
        super().__init__(host, torrent)
        home = host.lab.fresh_dir("qbittorrent")
        self._write_config(home, into)
        self.proc = host.start([need("qbittorrent-nox"), f"--profile={home}",
                                f"--webui-port={self.WEB_PORT}"],
                               env={"HOME": home})
        self._wait(lambda: host.listening(self.WEB_PORT, "127.0.0.1"), 30,
                   "web API")
        self._add(torrent, into)
        if peers:
            self._wait(self._now, 10, "knows the torrent")
            self._post("torrents/addPeers", hashes=torrent.v1,
                       peers="|".join(peers))

    def _write_config(self, home, into):
        folder = os.path.join(home, "qBittorrent", "config")
        os.makedirs(folder)
        with open(os.path.join(folder, "qBittorrent.conf"), "w") as out:
            out.write(f"""[LegalNotice]
Accepted=true
[Preferences]
WebUI\\Address=127.0.0.1
WebUI\\LocalHostAuth=false
WebUI\\CSRFProtection=false
WebUI\\HostHeaderValidation=false
[BitTorrent]
Session\\DefaultSavePath={into}
Session\\Port={PEER_PORT}
Session\\InterfaceAddress={self.host.ip4}
Session\\BTProtocol=TCP
Session\\DHTEnabled=false
Session\\LSDEnabled=false
Session\\PeXEnabled=false
Session\\QueueingSystemEnabled=false
Session\\MultiConnectionsPerIp=true
""")

    def _add(self, torrent, into):
        with open(torrent.file, "rb") as data:
            body = _multipart({"savepath": into, "paused": "false"},
                              ("torrents", "lab.torrent", data.read()))
        answer = _post(self.host, self.WEB_PORT, "/api/v2/torrents/add", body,
                       f"multipart/form-data; boundary={_BOUNDARY}")
        assert answer == b"Ok.", answer

    def _post(self, verb, **fields):
        return _post(self.host, self.WEB_PORT, f"/api/v2/{verb}",
                     urllib.parse.urlencode(fields),
                     "application/x-www-form-urlencoded")

    def _now(self):
        return next(iter(json.loads(self._post("torrents/info"))), {})

    def pieces(self):
        states = json.loads(self._post("torrents/pieceStates",
                                       hash=self.torrent.v1))
        return sum(state == 2 for state in states)

    def is_checked(self):
        state = self._now().get("state", "checking")
        assert state not in ("error", "missingFiles"), state
        return "checking" not in state and state != "metaDL"


class Rtorrent(Client):
    """As a daemon: its screen is not drawn, and it is spoken to in XML-RPC by
    SCGI through a socket file. Its DHT is off and not disabled, for then it
    would refuse a torrent without a tracker, and not say so."""

    def __init__(self, host, torrent, into, peers=()):
        super().__init__(host, torrent)
        home = host.lab.fresh_dir("rtorrent")
        self._scgi = os.path.join(home, "scgi")
        config = os.path.join(home, "rtorrent.rc")
        with open(config, "w") as out:
            out.write(f"""system.daemon.set = true
session.path.set = {home}
directory.default.set = {into}
network.port_range.set = {PEER_PORT}-{PEER_PORT}
network.port_random.set = no
network.bind_address.set = {host.ip4}
network.scgi.open_local = {self._scgi}
trackers.use_udp.set = no
dht.mode.set = off
protocol.pex.set = no
""")
        self.proc = host.start([need("rtorrent"), "-n", "-o",
                                f"import={config}"], env={"HOME": home})
        self._wait(lambda: os.path.exists(self._scgi), 20, "socket")
        self._ask("load.start", "", torrent.file)
        for peer in peers:
            self._ask("add_peer", torrent.v1, peer)

    def _ask(self, method, *words):
        body = xmlrpc.client.dumps(words, method).encode()
        heads = b"CONTENT_LENGTH\0%d\0SCGI\0001\0" % len(body)
        with socket.socket(socket.AF_UNIX) as line:
            line.settimeout(10)
            line.connect(self._scgi)
            line.sendall(b"%d:%s,%s" % (len(heads), heads, body))
            answer = b""
            while more := line.recv(1 << 16):
                answer += more
        answer = answer.split(b"\r\n\r\n", 1)[1]
        return xmlrpc.client.loads(answer)[0][0]

    def _is_there(self):
        return self.torrent.v1.upper() in self._ask("download_list")

    def pieces(self):
        return self._ask("d.completed_chunks", self.torrent.v1.upper())

    def is_checked(self):
        return self._is_there() and not self._ask(
            "d.is_hash_checking", self.torrent.v1.upper()) and self._ask(
            "d.is_active", self.torrent.v1.upper())

    def stop(self):
        self._ask("system.shutdown.quick")
        return self.proc.wait(10)


ALL = (Libtorrent, Transmission, Aria2, Rtorrent, Qbittorrent)

_BOUNDARY = "----------------------shoal"


def _multipart(fields, file):
    parts = [f'--{_BOUNDARY}\r\nContent-Disposition: form-data; name="{name}"'
             f"\r\n\r\n{value}\r\n".encode() for name, value in fields.items()]
    name, shown, data = file
    parts.append(f'--{_BOUNDARY}\r\nContent-Disposition: form-data; '
                 f'name="{name}"; filename="{shown}"\r\n'
                 "Content-Type: application/x-bittorrent\r\n\r\n".encode()
                 + data + b"\r\n")
    return b"".join(parts) + f"--{_BOUNDARY}--\r\n".encode()


def _post(host, port, path, body, kind="application/json"):
    """The body of the answer of a server on the host's loopback."""
    with host.inside():
        line = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
        line.request("POST", path, body, {"Content-Type": kind})
        reply = line.getresponse()
    text = reply.read()
    line.close()
    if reply.status != 200:
        raise OSError(f"{path}: {reply.status} {text!r}")
    return text

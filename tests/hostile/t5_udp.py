"""Goal: a UDP tracker's answer counts only from its own address, with our own
transaction number, for what was asked, and whole. Everything else is as if it
had not come: forged peers are never dialled, and no datagram makes us send
more than one."""

import socket
import struct
import threading

from hostile import *
from lab import run

MAGIC = 0x41727101980
CONNECT, ANNOUNCE, SCRAPE, ERROR = range(4)


class Tracker:
    """One socket; `bend(reply, send)` sends what it likes of the answer."""

    def __init__(self, host, peers, bend=None):
        self.peers, self.bend = peers, bend
        self.asked = self.connected = 0
        self.sock = host.socket(kind=socket.SOCK_DGRAM)
        self.sock.bind((host.ip4, 0))
        # Same host, another port: a stranger.
        self.stranger = host.socket(kind=socket.SOCK_DGRAM)
        self.stranger.bind((host.ip4, 0))
        self.url = f"udp://{host.ip4}:{self.sock.getsockname()[1]}/announce"
        threading.Thread(target=self._serve, daemon=True).start()
        host.lab.defer(self.close)

    def _serve(self):
        while True:
            try:
                data, where = self.sock.recvfrom(2048)
            except OSError:
                return
            if len(data) < 16:
                return
            self._answer(data, where)

    def _answer(self, data, where):
        first, action, number = struct.unpack(">QII", data[:16])
        if action == CONNECT and first == MAGIC:
            self.connected += 1
            good = struct.pack(">IIQ", CONNECT, number, 0x1122334455667788)
        else:
            self.asked += 1
            good = struct.pack(">IIIII", ANNOUNCE, number, 1800, 1, 1) \
                + self.peers
        if self.bend:
            self.bend(good, lambda reply: self.sock.sendto(reply, where),
                      lambda reply: self.stranger.sendto(reply, where))
        else:
            self.sock.sendto(good, where)

    def close(self):
        self.sock.close()
        self.stranger.close()


def is_announce(good):
    return good[:4] == struct.pack(">I", ANNOUNCE)


def on_announce(change):
    """Connect properly; the announce's answer is changed."""
    def bend(good, send, _):
        send(change(good) if is_announce(good) else good)
    return bend


def another_number(good):
    number, = struct.unpack(">I", good[4:8])
    return good[:4] + struct.pack(">I", number ^ 1) + good[8:]


BENDS = {
    "a stranger": lambda good, send, forge: forge(good),
    "another number": lambda good, send, forge: send(another_number(good)),
    "numbers at random": lambda good, send, forge: [
        send(good[:4] + struct.pack(">I", at * 40503) + good[8:])
        for at in range(2000)],
    "another number later": on_announce(another_number),
    "a scrape's answer": on_announce(
        lambda good: struct.pack(">I", SCRAPE) + good[4:]),
    "a short connect": lambda good, send, forge: send(good[:15]),
    "a short announce": on_announce(lambda good: good[:19]),
    "one byte": lambda good, send, forge: send(good[:1]),
    "nothing": lambda good, send, forge: send(b""),
    "an escape": on_announce(
        lambda good: struct.pack(">I", ERROR) + good[4:8]
        + b"\x1b[31mevil\r\n\0"),
}


def scenario(lab):
    hosts = link_hosts(lab)
    trap = Server(hosts[2], lambda line: line.take(68))
    forged = socket.inet_aton(hosts[2].ip4) \
        + struct.pack(">H", trap.address[1])
    honest = socket.inet_aton(hosts[1].ip4) + struct.pack(">H", 7000)
    bad = {what: Tracker(hosts[2], forged, bend)
           for what, bend in BENDS.items()}
    # After the answer that counts come others, for the same number.
    good = Tracker(hosts[2], honest, lambda good, send, forge: [
        send(good), send(good[:-6] + forged), forge(good[:-6] + forged)])
    torrent = make_film(lab, trackers=[
        tracker.url for tracker in [*bad.values(), good]])
    seed = start_seed(hosts[1], torrent, "--no-tracker")
    victim = Victim(hosts, torrent, seed=False)
    victim.read(1 << 20)
    until(lambda: all(tracker.connected >= 2 or tracker.asked
                      for tracker in bad.values()), 15, "each was asked")
    views = {view["url"]: view for view in victim.status()["trackers"]}
    assert views[good.url]["state"] == "ok", views[good.url]
    for what, tracker in bad.items():
        assert views[tracker.url]["state"] != "ok", what
        assert (views[tracker.url]["why"] or " ").isprintable(), what
        assert tracker.asked + tracker.connected <= 5, (what, tracker.asked)
    assert not trap.lines, "a forged peer was dialled"
    victim.survived()
    seed.stop()


if __name__ == "__main__":
    run(scenario)

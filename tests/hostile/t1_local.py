"""Goal: a torrent's tracker URLs reach no service of this machine or of its
network. Whatever spelling, name, redirect or look-up leads there, what lives
there hears of nothing but announces, over HTTP and over UDP; a redirect from
the world into it is not followed at all; a name that led elsewhere before is
judged by where it leads now; and a URL that brings an announce's own fields is
not asked."""

import socket
import struct
import threading

from hostile import *
from lab import run

LAN, FAR = "10.9.8.7", "1.2.3.4"


class Deaf:
    """A UDP port that counts what comes in."""

    def __init__(self, host, address):
        self.heard = []
        self.sock = host.socket(kind=socket.SOCK_DGRAM)
        self.sock.bind((address, 0))
        self.port = self.sock.getsockname()[1]
        threading.Thread(target=self._serve, daemon=True).start()
        host.lab.defer(self.sock.close)

    def _serve(self):
        while True:
            try:
                data, where = self.sock.recvfrom(2048)
            except OSError:
                return
            self.heard.append(data)
            self.answer(data, where)

    def answer(self, data, where):
        pass


class Tracker(Deaf):
    """An honest one without peers."""

    def answer(self, data, where):
        _, action, number = struct.unpack(">QII", data[:16])
        if action == 0:
            reply = struct.pack(">IIQ", 0, number, 7)
        else:
            action, number = struct.unpack(">II", data[8:16])
            reply = struct.pack(">IIIII", 1, number, 1800, 0, 0)
        self.sock.sendto(reply, where)


def scenario(lab):
    hosts = link_hosts(lab)
    for address in (LAN, FAR):
        lab.ip("-n", hosts[2].name, "addr", "add", address + "/32",
               "dev", "net0")
    far = Tracker(hosts[2], FAR)
    names = Names(hosts[2], {
        "here.test": [["127.0.0.1"]],
        "lan.test": [[LAN]],
        # Nobody listens at the first; the second is tried then.
        "both.test": [[FAR, "127.0.0.1"]],
        # Asked again it is somewhere else: rebinding.
        "flip.test": [[FAR], ["127.0.0.1"]]})
    inside = Web(hosts[0], lambda request: http_answer(
        b"d8:intervali1800e5:peers0:e"), "127.0.0.1")
    lan = Web(hosts[2], lambda request: http_answer(), LAN)
    udp_inside = Deaf(hosts[0], "127.0.0.1")
    udp_lan = Deaf(hosts[2], LAN)

    def lead(request):
        where = request.split()[1].removeprefix("/announce/").split("?")[0]
        return http_answer(status="302 Found", Location={
            "in": f"http://127.0.0.1:{inside.port}/announce/redirected",
            "name": f"http://here.test:{inside.port}/announce/2",
            "lan": f"http://{LAN}:{lan.port}/announce/3",
            "file": "file:///etc/passwd",
            "cloud": "http://169.254.169.254/announce"}[where])

    outside = Web(hosts[2], lead)
    bad = [f"http://{host}:{inside.port}/admin?do=it" for host in (
        "127.0.0.1", "2130706433", "0x7f.1", "0177.1", "127.0.0.9",
        "localhost", "[::ffff:127.0.0.1]", "[::1]", "here.test", "both.test",
        "0.0.0.0")]
    bad += [f"http://127.0.0.1:{inside.port}{path}" for path in (
        "/", "/announce/../admin", "/announce/%2e%2e/admin", "/x/announce",
        "/short", "/unusual-announce-path",
        "/announce?info_hash=abc", "/announce?iNfo_HaSh=abc",
        "/announce?INFO%5fHASH=abc&x", "/announce?event=abc",
        "/announce?EvEnT=abc")]
    bad += [f"http://{host}:{lan.port}/admin" for host in (LAN, "lan.test")]
    bad += [f"http://{hosts[2].ip4}:{outside.port}/announce/{where}"
            for where in ("in", "name", "lan", "file", "cloud")]
    bad += ["http://169.254.169.254/announce",
            "http://2852039166/announce",
            "http://[::ffff:169.254.169.254]/announce"]
    bad += [f"udp://{host}:{udp_inside.port}{path}" for host, path in (
        ("127.0.0.1", ""), ("127.0.0.1", "/admin"), ("2130706433", "/x"),
        ("0x7f.1", "/"), ("localhost", ""), ("[::ffff:127.0.0.1]", "/x"),
        ("here.test", "/x"), ("0.0.0.0", "/announce"))]
    bad += [f"udp://{LAN}:{udp_lan.port}", f"udp://lan.test:{udp_lan.port}/x",
            "udp://169.254.169.254:80/announce"]
    good = [f"http://localhost:{inside.port}/announce/pass",
            f"udp://flip.test:{far.port}/x"]
    # On loopback the flipped name's port is this one's.
    flipped = hosts[0].socket(kind=socket.SOCK_DGRAM)
    flipped.bind(("127.0.0.1", far.port))
    flipped.setblocking(False)
    victim = Victim(hosts, make_film(lab, trackers=[*bad, *good]))

    def states():
        return [view["state"] for view in victim.status()["trackers"]]
    until(lambda: states().count("failed") == len(bad)
          and states().count("ok") == len(good), 25, "each has its end")
    for view in victim.status()["trackers"]:
        assert view["state"] == "ok" or view["why"], view
    victim.survived()       # and says good-bye to those that answered
    assert len(outside.heard) == 5, outside.heard
    assert {request.split("?")[0] for request in inside.heard} \
        == {"GET /announce/pass"}, inside.heard
    assert not lan.heard and not udp_lan.heard and not udp_inside.heard
    assert ("flip.test", ["127.0.0.1"]) in names.asked, names.asked
    try:
        raise AssertionError(flipped.recv(2048))
    except BlockingIOError:
        flipped.close()


if __name__ == "__main__":
    run(scenario)

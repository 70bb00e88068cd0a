"""Goal: a torrent's tracker URLs reach no service of this machine. Whatever
spelling, name, redirect or look-up leads there, the service on loopback hears
of nothing but announces; a redirect from the world into it is not followed at
all; and a URL that brings an announce's own fields is not asked."""

import ctypes
import os

from hostile import *
from lab import Skip, run

MS_BIND = 0x1000


def name_here(lab, name):
    """A name of the world that leads to loopback, as a rebinding DNS has it.
    The lab's mounts are its own."""
    path = lab.path("hosts")
    if not os.path.exists("/etc/hosts"):
        raise Skip("there is no /etc/hosts to put a name into")
    with open("/etc/hosts") as old, open(path, "w") as new:
        new.write(old.read() + f"\n127.0.0.1 {name}\n::1 {name}\n")
    libc = ctypes.CDLL(None, use_errno=True)
    assert libc.mount(path.encode(), b"/etc/hosts", None,
                      ctypes.c_ulong(MS_BIND), None) == 0


class Web:
    """Notes each request line; answers with what `answer` says."""

    def __init__(self, host, answer, address=None):
        self.heard, self.answer = [], answer
        self.server = Server(host, self._serve, address)
        self.port = self.server.address[1]

    def _serve(self, line):
        while not self.heard or b"\r\n\r\n" not in line.heard:
            more = line.sock.recv(4096)
            if not more:
                return
            line.heard += more
            if b"\r\n\r\n" in line.heard:
                break
        request = line.heard.split(b"\r\n")[0].decode()
        self.heard.append(request)
        line.send(self.answer(request))
        line.close()


def ok(body):
    return b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\nConnection: close" \
        b"\r\n\r\n%s" % (len(body), body)


def scenario(lab):
    hosts = link_hosts(lab)
    name_here(lab, "rebind.example")
    inside = Web(hosts[0], lambda request: ok(b"d8:intervali1800e5:peers0:e"),
                 "127.0.0.1")

    def lead(request):
        where = request.split()[1].removeprefix("/announce/").split("?")[0]
        target = {"in": f"http://127.0.0.1:{inside.port}/announce/redirected",
                  "name": f"http://rebind.example:{inside.port}/announce/2",
                  "file": "file:///etc/passwd",
                  "cloud": "http://169.254.169.254/announce"}[where]
        return b"HTTP/1.1 302 Found\r\nLocation: %s\r\nContent-Length: 0" \
            b"\r\nConnection: close\r\n\r\n" % target.encode()

    outside = Web(hosts[2], lead)
    here = [f"http://{host}:{inside.port}/admin?do=it" for host in (
        "127.0.0.1", "2130706433", "0x7f.1", "0177.1", "127.0.0.9",
        "localhost", "[::ffff:127.0.0.1]", "rebind.example", "0.0.0.0")]
    here += [f"http://127.0.0.1:{inside.port}{path}" for path in (
        "/", "/announce/../admin", "/announce/%2e%2e/admin", "/x/announce",
        "/announce?info_hash=abc", "/announce?INFO%5fHASH=abc&x")]
    here += [f"http://{hosts[2].ip4}:{outside.port}/announce/{where}"
             for where in ("in", "name", "file", "cloud")]
    good = f"http://localhost:{inside.port}/announce/pass"
    victim = Victim(hosts, make_film(lab, trackers=[*here, good]))

    def all_failed():
        states = {view["url"]: view["state"]
                  for view in victim.status()["trackers"]}
        return list(states.values()).count("failed") == len(here)
    until(all_failed, 20, "each of them failed")
    assert len(outside.heard) == 4, outside.heard
    assert {request.split("?")[0] for request in inside.heard} \
        == {"GET /announce/pass"}, inside.heard
    for view in victim.status()["trackers"]:
        assert view["state"] == "ok" or view["why"], view
    victim.survived()


if __name__ == "__main__":
    run(scenario)

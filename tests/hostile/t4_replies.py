"""Goal: what a tracker answers is taken for what it is worth. Wrong types and
lists without end do nothing, times are kept within bounds, texts are shown
clean, and thousands of addresses of one victim are no reason to flood it."""

import socket
import struct

from hostile import *
from lab import run

ESCAPES = b"\x1b]0;owned\x07\x1b[31m\r\nevil\0"
LEAST_S, MOST_S = 60, 7200


def text(value):
    return b"%d:%s" % (len(value), value)


def reply(peers=b"0:", interval=b"i1800e", more=b""):
    return b"d8:interval" + interval + b"5:peers" + peers + more + b"e"


def compact(address, ports):
    return text(b"".join(socket.inet_aton(address) + struct.pack(">H", port)
                         for port in ports))


def dictionary(address, port, size=1):
    one = b"d2:ip" + text(address) + b"4:port" + port + b"e"
    return b"l" + one * size + b"e"


# (what is answered, whether it is an answer)
CASES = {
    "interval-none": (reply(interval=b"i0e"), True),
    "interval-less": (reply(interval=b"i-5e"), True),
    "interval-huge": (reply(interval=b"i2147483648e"), True),
    "interval-past": (reply(interval=b"i9223372036854775807e"), True),
    "interval-text": (reply(interval=b"2:xx"), True),
    "peers-number": (reply(b"i7e"), True),
    "peers-odd": (reply(b"7:1234567"), True),
    "peers-nested": (reply(b"ll" + b"l" * 50 + b"e" * 52), False),
    "peers-depth": (reply(b"l" * 500000), False),
    "peers-strings": (reply(b"l3:abc3:defe"), True),
    "peers-many": (reply(dictionary(b"192.0.2.1", b"i1e", 30000)), False),
    "peers-names": (reply(dictionary(b"a.example", b"i7e", 5)), True),
    "peers-ports": (reply(dictionary(b"192.0.2.1", b"i70000e")), True),
    "peers-none": (reply(compact("0.0.0.0", [1])), True),
    "peers-cast": (reply(compact("224.0.0.1", range(1, 50))), True),
    "refusal": (b"d14:failure reason" + text(ESCAPES) + b"e", False),
    "refusal-long": (b"d14:failure reason" + text(b"x" * 500000) + b"e",
                     False),
    "refusal-number": (b"d14:failure reasoni7ee", True),
    "warning": (reply(more=b"15:warning message" + text(ESCAPES)), True),
    "id-long": (reply(more=b"10:tracker id" + text(b"i" * 300000)), True),
    "list": (b"le", False),
    "empty": (b"", False),
    "cut": (reply()[:-1], False),
    "behind": (reply() + b"garbage", True),
    "twice": (b"d8:intervali60e8:intervali1e5:peers0:e", False),
}
PORTS = range(20000, 24000)


def scenario(lab):
    hosts = link_hosts(lab)
    # A victim of ours: counts who knocks at any of its ports.
    crowd = (reply(compact(hosts[1].ip4, PORTS)), True)

    def serve(line):
        while b"\r\n\r\n" not in line.heard:
            more = line.sock.recv(4096)
            if not more:
                return
            line.heard += more
        case = line.heard.split(b"?")[0].decode().rsplit("/", 1)[1]
        body, _ = {**CASES, "crowd": crowd}[case]
        line.send(b"HTTP/1.1 200 OK\r\nConnection: close\r\n"
                  b"Content-Length: %d\r\n\r\n" % len(body) + body)
        line.close()

    web = Server(hosts[2], serve)
    torrent = make_film(lab, trackers=[
        f"http://{web.name}/announce/{case}" for case in [*CASES, "crowd"]])
    victim = Victim(hosts, torrent)

    def all_asked():
        views = {view["url"].rsplit("/", 1)[1]: view
                 for view in victim.status()["trackers"]}
        done = [view for view in views.values()
                if view["state"] in ("ok", "failed")]
        return views if len(done) == len(CASES) + 1 else None
    views = until(all_asked, 20, "each has answered")
    wrong = {case: (views[case]["state"], views[case]["why"])
             for case, (_, good) in CASES.items()
             if (views[case]["state"] == "ok") != good}
    assert not wrong, wrong
    for case, view in views.items():
        why = view["why"] or ""
        assert why.isprintable() or not why, (case, why)
        assert len(why) < 200, (case, why)
        if view["state"] == "ok" and view["next_s"] is not None:
            assert LEAST_S - 30 < view["next_s"] <= MOST_S, (case, view)
    assert views["crowd"]["peers"] <= 500, views["crowd"]
    victim.survived()


if __name__ == "__main__":
    run(scenario)

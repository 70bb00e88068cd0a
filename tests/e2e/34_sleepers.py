"""Goal: what sleeps seeds. A library of more torrents than may be awake is
filled and mounted again, with nobody to fetch from: what is held is told right
of each at once; turns make more of them known to the tracker than may be awake,
and nobody takes leave of it for going to sleep; libtorrent gets whole torrents
that sleep, by either hash, and nothing of one of which nothing is held."""

import contextlib
import http.server
import json
import os
import threading
import urllib.parse

from lab import run, until
from shoal import Mount, program
from swarm import TRACKER_PORT, make_torrent, start_leech, start_seeds, \
    tracker_url, write_blob

COUNT, AWAKE, SIZE, PORT = 110, 64, 30_000, 7011
KINDS = ("v1", "v2", "hybrid")


class Tracker:
    """Whom the mount announced, by the 20 bytes of the wire, and of whom it
    took leave."""

    def __init__(self, host):
        self.seen, self.left = set(), set()
        outer = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self):
                words = urllib.parse.parse_qs(
                    urllib.parse.urlparse(self.path).query,
                    encoding="latin-1")
                name = words["info_hash"][0].encode("latin-1").hex()
                if words["port"] == [str(PORT)]:
                    outer.seen.add(name)
                    if words.get("event") == ["stopped"]:
                        outer.left.add(name)
                body = b"d8:intervali1800e5:peers0:e"
                with contextlib.suppress(OSError):  # whose torrent slept
                    self.send_response(200)
                    self.send_header("Content-Length", str(len(body)))
                    self.end_headers()
                    self.wfile.write(body)

            def log_message(self, *_):
                pass

        with host.inside():
            self.server = http.server.ThreadingHTTPServer(
                (host.ip4, TRACKER_PORT), Handler)
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def stop(self):
        self.server.shutdown()
        self.server.server_close()


def scenario(lab):
    reader, seed, leech = lab.hosts("reader", "seed", "leech")
    lab.link(reader, seed, leech)
    tracker = Tracker(seed)
    torrents = []
    for number in range(COUNT + 1):
        path = write_blob(lab.path("c", f"film {number:03}"), SIZE, number)
        torrents.append(make_torrent(path, KINDS[number % 3], piece=16384,
                                     trackers=[tracker_url(seed)]))
    empty = torrents.pop()
    source = start_seeds(seed, torrents)

    def start(*options):
        return Mount(reader, options=[f"port={PORT}", *options])

    def ctl(*words):
        done = reader.run([program("shoalctl"), "-m", mount.path, *words])
        assert done.returncode == 0, done
        return done.stdout

    def states():
        return {t["name"]: t for t in
                json.loads(ctl("ls", "--json"))["torrents"]}

    mount = start(f"peer={source.address}")
    ctl("add", *(t.file for t in [*torrents, empty]))
    for torrent in torrents:
        with open(torrent.path, "rb") as want, \
                open(mount.at(torrent.name, torrent.name), "rb") as got:
            assert got.read() == want.read(), torrent.name
    assert mount.stop() == 0
    source.stop()
    tracker.seen.clear()
    tracker.left.clear()

    # Nobody has been woken, and what is held is known.
    mount = start()
    now = states()
    assert len(now) == COUNT + 1
    for torrent in torrents:
        assert now[torrent.name]["held_bytes"] == SIZE, now[torrent.name]
        assert mount.held(torrent.name) == SIZE
    assert mount.held(empty.name) == 0
    awake = [t for t in now.values() if t["state"] != "asleep"]
    assert len(awake) <= AWAKE + 1, len(awake)

    # Turns. A hybrid is announced twice.
    def announced():
        return sum((t.v1 or t.v2[:40]) in tracker.seen for t in torrents)
    until(lambda: announced() > AWAKE, 40, "more than may be awake")
    now = states()
    awake = [t for t in now.values() if t["state"] != "asleep"]
    assert len(awake) <= AWAKE + 1, len(awake)
    assert not tracker.left, "who sleeps is still there"

    # Woken by who asks; each kind, and two at a time.
    asleep = [t for t in torrents if now[t.name]["state"] == "asleep"]
    wanted = [next(t for t in asleep if (t.v1 is None, t.v2 is None) == kind)
              for kind in ((False, True), (True, False), (False, False))]
    for torrent in wanted:
        into = lab.fresh_dir("got")
        peer = start_leech(leech, torrent, into, "--no-tracker", "--peer",
                           f"{reader.ip4}:{PORT}")
        peer.wait("complete", 30)
        peer.stop()
        with open(torrent.path, "rb") as want, \
                open(os.path.join(into, torrent.name), "rb") as got:
            assert got.read() == want.read(), torrent.name
        assert states()[torrent.name]["state"] != "asleep"

    # Of what is not held nobody learns that we know it.
    into = lab.fresh_dir("got")
    peer = start_leech(leech, empty, into, "--no-tracker", "--peer",
                       f"{reader.ip4}:{PORT}")
    try:
        until(lambda: peer.status()["pieces"] > 0, 2, "nothing comes")
    except TimeoutError:
        pass
    assert peer.status()["peers"] == 0, peer.status()
    peer.stop()
    assert states()[empty.name]["state"] == "asleep"
    tracker.stop()
    assert mount.stop() == 0


if __name__ == "__main__":
    run(scenario)

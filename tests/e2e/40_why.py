"""Goal: `shoalctl why` names the true cause of a wait: no peers, a tracker that
refuses, metadata that does not come, a piece that nobody has, a rate limit, a
store without room."""

import os

from lab import run, until
from shoal import Mount, program
from swarm import make_torrent, start_leech, start_seed, write_blob

REFUSAL = """
import http.server, sys
class Tracker(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        body = b"d14:failure reason17:go away, strangere"
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)
http.server.HTTPServer((sys.argv[1], 6969), Tracker).serve_forever()
"""


def why(mount, *path):
    done = mount.host.run([program("shoalctl"), "-m", mount.path, "why",
                           os.path.join(*path)])
    assert done.returncode == 0, done
    return done.stdout.strip()


class Case:
    """A mount with a reader of `torrent`, until the line has `words`."""

    def __init__(self, host, torrent, words, *options, source=None, read=True):
        self.mount = Mount(host, source or torrent.file, options=options,
                           name=words.split()[0] + str(len(words)))
        self.reader = None
        path = [torrent.name] * 2 if source is None else [torrent.name]
        if read:
            self.reader = host.start(["cat", self.mount.wait_path(*path)],
                                     stdout=open(os.devnull, "wb"))
        self.line = ""

        def says():
            self.line = why(self.mount, *path)
            return words in self.line
        try:
            until(says, 20, words)
        finally:
            print(self.line)

    def end(self):
        assert self.mount.stop() == 0
        if self.reader:
            self.reader.wait(10)


def torrent_of(lab, name, size, seed, **options):
    return make_torrent(write_blob(lab.path(name, f"{name}.bin"), size, seed),
                        **options)


def scenario(lab):
    host, far = lab.hosts("host", "far")
    lab.link(host, far)
    plain = torrent_of(lab, "plain", 300_000, 1)
    peer = f"peer={far.ip4}:7000"
    Case(host, plain, "no peers known, and no tracker to ask").end()
    Case(host, plain, "waiting for metadata: no peers known, and no tracker",
         "wait=1", source="magnet:?xt=urn:btih:" + "5" * 40 + "&dn=plain.bin",
         read=False).end()

    tracker = far.start(["/usr/bin/python3", "-c", REFUSAL, far.ip4])
    until(lambda: far.listening(6969), 10, "the tracker")
    refused = torrent_of(lab, "refused", 300_000, 2,
                         trackers=[f"http://{far.ip4}:6969/announce"])
    Case(host, refused, "tracker: go away, stranger").end()
    tracker.stop()

    leech = start_leech(far, plain, lab.mkdir("nothing"))
    Case(host, plain, "none of 1 connected peers has piece 0", peer).end()
    leech.proc.stop()

    seed = start_seed(far, plain)
    Case(host, plain, "the limit of 1 KiB/s has piece", peer,
         "down_limit=1K").end()
    seed.stop()

    large = torrent_of(lab, "large", 40 << 20, 5)
    seed = start_seed(far, large)
    case = Case(host, large, "nothing: nobody reads what is missing", peer,
                "quota=16M", "min_free=0", read=False)
    assert host.run([program("shoalctl"), "-m", case.mount.path, "pin",
                     large.name]).returncode == 0
    until(lambda: "quota used up" in why(case.mount, large.name, large.name),
          40, "no room")
    print(why(case.mount, large.name, large.name))
    case.end()
    seed.stop()


if __name__ == "__main__":
    run(scenario)

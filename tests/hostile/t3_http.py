"""Goal: an HTTP tracker may answer anything, or never. Bombs, endless and
broken answers cost bounded memory, other trackers' peers arrive all the same,
and the reason is shown with the tracker it belongs to."""

import gzip
import socket
import struct
import time
import zlib

from hostile import *
from lab import run

SECONDS = 20
PATIENT = {"slow", "silent"}    # TRACKER_TIMEOUT_MS ends them, much later


def head(*lines, status=b"200 OK"):
    return b"HTTP/1.1 " + status + b"\r\n" \
        + b"".join(line + b"\r\n" for line in lines) + b"\r\n"


def endless(line, first, again):
    """Until the other side has had enough."""
    if line.send(first):
        while line.send(again):
            pass


def slow(line, first):
    """A byte now and then."""
    line.send(first)
    while line.send(b"d"):
        time.sleep(1)


BOMB = gzip.compress(bytes(512 << 20), 9)   # half a MiB of 512 MiB
DEFLATED = zlib.compress(bytes(512 << 20), 9)
CASES = {
    "bomb": lambda line: line.send(
        head(b"Content-Encoding: gzip",
             b"Content-Length: %d" % len(BOMB)) + BOMB),
    "deflate": lambda line: line.send(
        head(b"Content-Encoding: deflate",
             b"Content-Length: %d" % len(DEFLATED)) + DEFLATED),
    "double": lambda line: line.send(
        head(b"Content-Encoding: gzip, gzip",
             b"Content-Length: %d" % len(BOMB)) + BOMB),
    "headers": lambda line: endless(
        line, b"HTTP/1.1 200 OK\r\n", b"X-Header: " + b"x" * 1000 + b"\r\n"),
    "header": lambda line: endless(line, b"HTTP/1.1 200 OK\r\nX: ",
                                   b"x" * 65536),
    "status": lambda line: endless(line, b"HTTP/1.1 200 ", b"x" * 65536),
    "body": lambda line: endless(line, head(), b"x" * 65536),
    "chunks": lambda line: endless(
        line, head(b"Transfer-Encoding: chunked"), b"1\r\nx\r\n"),
    "chunk": lambda line: endless(
        line, head(b"Transfer-Encoding: chunked")
        + b"ffffffffffffffff\r\n", b"x" * 65536),
    "trailers": lambda line: endless(
        line, head(b"Transfer-Encoding: chunked") + b"0\r\n",
        b"X-Trailer: " + b"x" * 1000 + b"\r\n"),
    "continue": lambda line: endless(
        line, b"", b"HTTP/1.1 100 Continue\r\n\r\n"),
    "boast": lambda line: line.send(
        head(b"Content-Length: 9223372036854775807") + b"d"),
    "negative": lambda line: line.send(head(b"Content-Length: -1") + b"de"),
    "short": lambda line: line.send(head(b"Content-Length: 9") + b"de"),
    "noise": lambda line: line.send(b"\0\xff" * 5000),
    "nothing": lambda line: line.sock.shutdown(socket.SHUT_WR),
    "ring": lambda line: line.send(
        head(b"Location: /announce/ring?again", b"Content-Length: 0",
             status=b"302 Found")),
    "page": lambda line: line.send(
        head(b"Content-Length: 15") + b"<html>no</html>"),
    "error": lambda line: line.send(
        head(b"Content-Length: 0", status=b"500 \x1b[31mNo")),
    "slow": lambda line: slow(line, head(b"Content-Length: 90")),
    "silent": lambda line: line.take(1 << 30),
}


def scenario(lab):
    hosts = link_hosts(lab)

    def serve(line):
        while b"\r\n\r\n" not in line.heard:
            more = line.sock.recv(4096)
            if not more:
                return
            line.heard += more
        case = line.heard.split(b"?")[0].decode().rsplit("/", 1)[1]
        line.heard = b""
        if case in CASES:
            CASES[case](line)
        else:
            peer = socket.inet_aton(hosts[1].ip4) + struct.pack(">H", 7000)
            body = b"d8:intervali1800e5:peers6:" + peer + b"e"
            line.send(head(b"Content-Length: %d" % len(body)) + body)
        line.close()

    web = Server(hosts[2], serve)
    torrent = make_film(lab, trackers=[
        f"http://{web.name}/announce/{case}" for case in [*CASES, "good"]])
    seed = start_seed(hosts[1], torrent, "--no-tracker")
    victim = Victim(hosts, torrent, seed=False)
    victim.read(1 << 20)

    waiting, whys = [], {}

    def all_ended():
        views = {view["url"].rsplit("/", 1)[1]: view
                 for view in victim.status()["trackers"]}
        # One that failed may be asked again already.
        whys.update((case, view["why"]) for case, view in views.items()
                    if view["state"] == "failed")
        waiting[:] = set(CASES) - set(whys) - PATIENT
        return None if waiting else views
    try:
        views = until(all_ended, SECONDS, "each of them failed")
    except TimeoutError as error:
        raise TimeoutError(f"{error}: {waiting}") from None
    assert views["good"]["state"] == "ok", views["good"]
    for case, why in whys.items():
        assert why and why.isprintable() and len(why) < 200, (case, why)
    assert not [line for line in victim.log() if not line.isprintable()]
    victim.survived()
    seed.stop()


if __name__ == "__main__":
    run(scenario)

"""Goal: a web seed may answer anything, or never. Not a byte of what is not
the range that was asked for is taken; bombs, endless and broken answers cost
bounded memory; each has its reason in the status and is left alone for a
while; and the file is read whole as soon as somebody honest is there."""

import gzip
import re
import threading
import time

from hostile import *
from lab import run
from swarm import PEER_PORT

SIZE = 2 << 20
PATIENT = {"slow", "silent"}    # WEBSEED_SILENCE_S ends them, much later
BOMB = gzip.compress(bytes(64 << 20), 9)


def head(first, last, *lines, status=b"206 Partial Content", total=SIZE):
    lines = [b"Content-Range: bytes %d-%d/%d" % (first, last, total), *lines]
    return b"HTTP/1.1 " + status + b"\r\n" \
        + b"".join(line + b"\r\n" for line in lines) + b"\r\n"


def length(size):
    return b"Content-Length: %d" % size


def endless(line, first, again):
    """Until the other side has had enough."""
    if line.send(first):
        while line.send(again):
            pass


def slow(line, first):
    line.send(first)
    while line.send(b"d"):
        time.sleep(1)


CHUNKED = b"Transfer-Encoding: chunked"
# Of (line, first and last byte that are asked for, and what is right there).
CASES = {
    "whole": lambda line, a, b, data: endless(
        line, b"HTTP/1.1 200 OK\r\n" + length(SIZE) + b"\r\n\r\n",
        bytes(65536)),
    "elsewhere": lambda line, a, b, data: line.send(
        head(a + 1, b + 1, length(len(data))) + data),
    "total": lambda line, a, b, data: line.send(
        head(a, b, length(len(data)), total=SIZE + 1) + data),
    "none": lambda line, a, b, data: line.send(
        b"HTTP/1.1 206 Partial Content\r\n" + length(len(data))
        + b"\r\n\r\n" + data),
    "short": lambda line, a, b, data: line.send(
        head(a, b, length(len(data))) + data[:-1]),
    "shorter": lambda line, a, b, data: line.send(
        head(a, b, length(len(data) - 1)) + data[:-1]),
    "long": lambda line, a, b, data: endless(
        line, head(a, b) + data, bytes(65536)),
    "boast": lambda line, a, b, data: line.send(
        head(a, b, b"Content-Length: 9223372036854775807") + data),
    "bomb": lambda line, a, b, data: line.send(
        head(a, b, b"Content-Encoding: gzip", length(len(BOMB))) + BOMB),
    "chunks": lambda line, a, b, data: endless(
        line, head(a, b, CHUNKED), b"1\r\nx\r\n"),
    "trailers": lambda line, a, b, data: endless(
        line, head(a, b, CHUNKED) + b"%x\r\n" % len(data) + data
        + b"\r\n0\r\n", b"X-Trailer: " + b"x" * 1000 + b"\r\n"),
    "parts": lambda line, a, b, data: line.send(
        b"HTTP/1.1 206 Partial Content\r\nContent-Type: multipart/byteranges;"
        b" boundary=x\r\n" + length(len(data)) + b"\r\n\r\n" + data),
    "lies": lambda line, a, b, data: line.send(
        head(a, b, length(len(data))) + bytes(255 - byte for byte in data)),
    "escapes": lambda line, a, b, data: line.send(
        b"HTTP/1.1 500 \x1b[31mNo\r\n" + length(4) + b"\r\n\r\n\x1b[0m"),
    "slow": lambda line, a, b, data: slow(
        line, head(a, b, length(len(data)))),
    "silent": lambda line, a, b, data: line.take(1 << 30),
}


def scenario(lab):
    hosts = link_hosts(lab)
    taken = {case: 0 for case in CASES}

    def serve(line):
        while b"\r\n\r\n" not in line.heard:
            more = line.sock.recv(4096)
            if not more:
                return
            line.heard += more
        case = line.heard.split(b" ")[1].decode().split("/")[1]
        first, last = map(int, re.search(rb"bytes=(\d+)-(\d+)",
                                         line.heard).groups())
        line.heard = b""
        taken[case] += 1
        CASES[case](line, first, last, torrent.content[first:last + 1])
        line.close()

    web = Server(hosts[2], serve)
    torrent = make_film(lab, SIZE, web_seeds=[
        f"http://{web.name}/{case}/film.bin" for case in CASES])
    victim = Victim(hosts, torrent, seed=False,
                    options=[f"peer={hosts[1].ip4}:{PEER_PORT}"])
    reader = threading.Thread(target=victim.read, daemon=True)
    reader.start()
    waiting, whys = [], {}

    def all_failed():
        for case, view in zip(CASES, victim.webs()):
            if ": " in view["client"]:
                whys[case] = view["client"].split(": ", 1)[1]
        waiting[:] = set(CASES) - set(whys) - PATIENT
        return not waiting
    try:
        until(all_failed, 30, "each of them failed")
    except TimeoutError as error:
        raise TimeoutError(f"{error}: {waiting}") from None
    for case, why in whys.items():
        assert why and why.isprintable(), (case, why)
    seed = start_seed(hosts[1], torrent)
    reader.join(60)
    assert not reader.is_alive()
    assert not [line for line in victim.log() if not line.isprintable()]
    assert max(taken.values()) < 60, taken
    victim.survived()
    seed.stop()


if __name__ == "__main__":
    run(scenario)

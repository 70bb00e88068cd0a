"""Goal: peers that only hold a place cost a reader little. Among 64 of them,
who say nothing, or a byte a second, or only a handshake, or have nothing, or
choke for ever, one honest seed of 256 KiB/s brings 1 MiB within twice the time
that it needs alone; and who never finishes his handshake is cut off in time."""

import socket
import struct
import time

from hostile import *
from lab import run

RATE, SIZE = 256 << 10, 1 << 20
KINDS = 5


def drip(line, data):
    """One byte at a time, as slow as may be."""
    for at in range(len(data)):
        if not line.send(data[at:at + 1]):
            return
        time.sleep(1)


def sleeper(kind, torrent):
    """What it does when it is dialled; the thread ends with the line."""
    everything = message(HAVE_ALL)

    def says_nothing(line):
        line.take(1 << 30)

    def drips(line):
        drip(line, handshake(torrent.raw))

    def only_greets(line):
        greet(line, torrent)
        line.take(1 << 30)

    def has_nothing(line):
        greet(line, torrent, message(HAVE_NONE), message(UNCHOKE))
        line.take(1 << 30)

    def chokes(line):
        greet(line, torrent, everything)
        line.take(1 << 30)

    return (says_nothing, drips, only_greets, has_nothing, chokes)[kind]


def scenario(lab):
    hosts = link_hosts(lab)
    servers = []

    def answer(line):
        line.take(4)
        peers = b"".join(socket.inet_aton(server.address[0])
                         + struct.pack(">H", server.address[1])
                         for server in servers)
        body = b"d8:intervali1800e5:peers%d:%se" % (len(peers), peers)
        line.send(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(body)
                  + body)

    tracker = Server(hosts[2], answer)
    torrent = make_film(lab, 2 * SIZE, [f"http://{tracker.name}/announce"])
    servers += [Server(hosts[2], sleeper(at % KINDS, torrent))
                for at in range(64)]
    victim = Victim(hosts, torrent,
                    limits=("--up-limit", str(RATE), "--no-tracker"))
    until(lambda: sum(bool(server.lines) for server in servers) >= 24, 10,
          "the sleepers are dialled")
    began = time.monotonic()
    victim.read(SIZE)
    took = time.monotonic() - began
    print(f"1 MiB in {took:.1f} s")
    assert took < 2 * SIZE / RATE * SLOW, took
    silent = [line for server in servers[::KINDS] for line in server.lines]
    until(lambda: all(line.closed(0.1) for line in silent), 15,
          "the silent are cut off")
    victim.survived()


if __name__ == "__main__":
    run(scenario)

"""Peers that only hold a place: what each sort of them does with a caller, and
a tracker that tells of them."""

import socket
import struct
import time

from hostile import (HAVE_ALL, HAVE_NONE, PIECE, REQUEST, UNCHOKE, Server,
                     greet, handshake, message)

# Accepts and says nothing · its handshake a byte a second · a handshake, and no
# word after it · has everything, and never unchokes · unchokes, and never sends ·
# sends half of the first block · has nothing.
KINDS = ("nothing", "drips", "greets", "chokes", "unchokes", "half", "empty")
PORT = 7000


def _wait(line):
    while line.sock.recv(1 << 16):
        pass


def _drip(line, data):
    for at in range(len(data)):
        if not line.send(data[at:at + 1]):
            return
        time.sleep(1)


def _half(line, torrent):
    for kind, body in line.messages():
        if kind != REQUEST:
            continue
        piece, begin, length = struct.unpack(">III", body)
        at = piece * torrent.piece_size + begin
        whole = message(PIECE, struct.pack(">II", piece, begin)
                        + torrent.content[at:at + length])
        line.send(whole[:13 + length // 2])
        return


def silent(kind, torrent):
    """What one of this kind does when it is dialled."""
    says = {"greets": (), "chokes": (message(HAVE_ALL),),
            "unchokes": (message(HAVE_ALL), message(UNCHOKE)),
            "half": (message(HAVE_ALL), message(UNCHOKE)),
            "empty": (message(HAVE_NONE), message(UNCHOKE))}

    def serve(line):
        if kind == "drips":
            _drip(line, handshake(torrent.raw))
        elif kind in says and greet(line, torrent, *says[kind]) \
                and kind == "half":
            _half(line, torrent)
        _wait(line)
    return serve


def place(host, torrent, addresses, kinds=KINDS):
    """A silent peer at each of the addresses, in turn of each kind."""
    return [Server(host, silent(kinds[at % len(kinds)], torrent), address,
                   PORT) for at, address in enumerate(addresses)]


def tell(host, peers, port=0):
    """A tracker that answers with `peers()`, pairs of address and port."""
    def answer(line):
        line.take(4)
        compact = b"".join(socket.inet_aton(address) + struct.pack(">H", port)
                           for address, port in peers())
        body = b"d8:intervali1800e5:peers%d:%se" % (len(compact), compact)
        line.send(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n"
                  b"Connection: close\r\n\r\n%s" % (len(body), body))
    return Server(host, answer, port=port)

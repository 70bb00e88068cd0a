"""Goal: what nobody asked for is dropped, and who goes on sending it is put
out: blocks of pieces never asked for, of finished pieces, the same block over
and over, and blocks longer or shorter than they were asked for. None of it
gets into the file."""

import struct

from hostile import *
from lab import run

NOISE = b"\xbb" * BLOCK


def piece(index, begin, data):
    return message(PIECE, struct.pack(">II", index, begin) + data)


def asked(body):
    return struct.unpack(">III", body)


# What a peer answers to a request, in place of the block.
ANSWERS = {
    "twice": lambda own, at, begin, size: 2 * piece(at, begin, own),
    "elsewhere": lambda own, at, begin, size: piece(at, begin ^ BLOCK, own),
    "longer": lambda own, at, begin, size: piece(at, begin, own + NOISE),
    "shorter": lambda own, at, begin, size: piece(at, begin, own[:-1]),
    "nothing": lambda own, at, begin, size: piece(at, begin, b""),
    "past the end": lambda own, at, begin, size: piece(at, 1 << 31, own),
    "no such piece": lambda own, at, begin, size: piece(1 << 31, 0, own),
}


def scenario(lab):
    hosts = link_hosts(lab)
    torrent = make_film(lab, 4 << 20)
    # Not the liars' own: their host may be banned by then.
    addresses = add_addresses(hosts[2], 2)

    def serve(answer):
        def run_line(line):
            greet(line, torrent, message(HAVE_ALL), message(UNCHOKE))
            for kind, body in line.messages():
                if kind != REQUEST:
                    continue
                at, begin, size = asked(body)
                start = at * torrent.piece_size + begin
                if not line.send(answer(torrent.content[start:start + size],
                                        at, begin, size)):
                    return
        return run_line

    servers = {what: Server(hosts[2], serve(answer))
               for what, answer in ANSWERS.items()}
    victim = Victim(hosts, torrent,
                    options=[f"peer={server.name}"
                             for server in servers.values()])
    # Nothing is read yet: every block is one that nobody asked for.
    line = victim.dial(*(piece(at % 64, 0, NOISE) for at in range(200)),
                       source=addresses[0])
    assert line.closed(5)
    assert victim.ended(line.name) == ["broke the protocol"]
    victim.read(1 << 20)
    # And now those of finished pieces.
    line = victim.dial(*(piece(at % 8, 0, NOISE) for at in range(200)),
                       source=addresses[1])
    assert line.closed(5)
    assert victim.ended(line.name) == ["broke the protocol"]
    victim.read()
    told = {what: victim.ended(server.name)[:1]
            for what, server in servers.items()}
    print(told)
    victim.survived()


if __name__ == "__main__":
    run(scenario)

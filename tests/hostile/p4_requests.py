"""Goal: requests are cheap to make and must be cheap to have. 100000 of them
from one who never reads, while choked or not, storms of cancels, and senseless
ones without end cost bounded memory; what a choked peer is allowed it gets
once; who only makes senseless requests is put out; and an honest leecher gets
everything meanwhile."""

import struct

from hostile import *
from lab import run
from swarm import start_leech

MANY = 100_000
SENSELESS = 300


def hoard(victim, *first):
    """Asks for everything, over and over, and reads nothing."""
    pieces = victim.torrent.pieces
    line = victim.dial(*first)
    line.sock.settimeout(2)
    wanted = b"".join(block(REQUEST, at % pieces, 0, BLOCK)
                      for at in range(MANY))
    line.send(wanted)   # blocks once we are no longer read
    return line


def abuse_favours(victim):
    """The pieces that we may have while choked, over and over: each comes once
    at most, block for block."""
    line = victim.dial()
    line.take(68)
    again, favours, asked, answered, got = 20, [], 0, 0, 0
    for kind, body in line.messages():
        if kind == ALLOWED_FAST:
            favours.append(struct.unpack(">I", body)[0])
            if len(favours) == 10:
                break
    for piece in favours:
        blocks = [block(REQUEST, piece, begin, BLOCK) for begin
                  in range(0, victim.torrent.piece_size, BLOCK)]
        line.send(b"".join(blocks) * again)
        asked += len(blocks) * again
    for kind, body in line.messages():
        answered += kind in (PIECE, REJECT)
        got += len(body) - 8 if kind == PIECE else 0
        if answered == asked:
            break
    most = len(favours) * victim.torrent.piece_size
    print(f"choked: {got} bytes of {len(favours)} pieces allowed fast")
    assert answered == asked and got <= most, (answered, asked, got, most)
    line.close()


def storm(victim):
    """Each request is cancelled at once."""
    line = victim.dial(message(INTERESTED))
    for kind, _ in line.messages() if line.take(68) else ():
        if kind == UNCHOKE:
            break
    line.sock.settimeout(2)
    line.send(b"".join(block(REQUEST, at % 7, 0, BLOCK)
                       + block(CANCEL, at % 7, 0, BLOCK)
                       for at in range(20000)))
    return line


def scenario(lab):
    victim = Victim(link_hosts(lab), make_film(lab))
    victim.read()
    victim.seed.stop()
    lines = [hoard(victim) for _ in range(2)]
    lines += [hoard(victim, message(INTERESTED)) for _ in range(2)]
    lines.append(storm(victim))
    leech = start_leech(victim.friend, victim.torrent, lab.fresh_dir("leech"),
                        "--peer", "{}:{}".format(*victim.address))
    leech.wait("complete", 30)
    for line in lines:
        line.close()
    abuse_favours(victim)
    line = victim.dial(block(REQUEST, 0, 1 << 30, BLOCK) * (SENSELESS + 1))
    assert line.closed(5)
    assert victim.ended(line.name) == ["broke the protocol"]
    victim.survived()


if __name__ == "__main__":
    run(scenario)

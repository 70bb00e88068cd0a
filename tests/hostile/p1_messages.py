"""Goal: no stream of bytes that a peer may send does harm. What breaks a rule
ends his connection, for a reason that the log names once; what is only useless
is passed over, and he is answered afterwards like anybody. Whose host breaks
the rules again and again is not heard any more, whatever the port; who keeps to
them behind the same address stays connected."""

import struct

from hostile import *
from lab import run

RULE, LONG = "broke the protocol", "message too long"
PLAIN = EXT     # speaks no BEP 6
OFFENCES = 4    # of one host, then it is banned


def index(kind, number):
    return message(kind, struct.pack(">I", number))


def size(length, kind):
    return struct.pack(">IB", length, kind)


def bits(torrent, extra=0, spare=0):
    """A full bitfield, longer or with bits behind the last piece."""
    count = torrent.pieces
    field = bytearray(b"\xff" * ((count + 7) // 8))
    if count % 8:
        field[-1] = (0xff << (8 - count % 8) & 0xff) | spare
    return message(BITFIELD, bytes(field)[:len(field) + min(extra, 0)]
                   + bytes(max(extra, 0)))


def fatal(t):
    """(what, reason, flags, stream): each ends the connection."""
    both = FAST | EXT
    return [
        ("4 GiB", LONG, both, size(0xffffffff, EXTENDED)),
        ("a choke of 2 GiB", LONG, both, size(1 << 31, CHOKE)),
        ("an extension of 1 MiB", LONG, both, size(1 << 20, EXTENDED)),
        ("a bitfield of 2^24 pieces", LONG, both, size(1 << 21, BITFIELD)),
        ("a block of 1 MiB", LONG, both, size(9 + (1 << 20), PIECE)),
        ("a short bitfield", RULE, both, bits(t, extra=-1)),
        ("a long bitfield", RULE, both, bits(t, extra=1)),
        ("an empty bitfield", RULE, both, message(BITFIELD)),
        ("spare bits", RULE, both, bits(t, spare=1)),
        ("a piece behind the last", RULE, both, index(HAVE, t.pieces)),
        ("piece 2^32-1", RULE, both, index(HAVE, 0xffffffff)),
        ("half an index", RULE, both, message(HAVE, b"\0\0")),
        ("an index and a half", RULE, both, message(HAVE, bytes(6))),
        ("a choke with a body", RULE, both, message(CHOKE, b"x")),
        ("a short request", RULE, both, message(REQUEST, bytes(11))),
        ("a long request", RULE, both, message(REQUEST, bytes(13))),
        ("a short block", RULE, both, message(PIECE, bytes(7))),
        ("a port of three bytes", RULE, both, message(PORT, bytes(3))),
        ("HAVE_ALL without BEP 6", RULE, PLAIN, message(HAVE_ALL)),
        ("REJECT without BEP 6", RULE, PLAIN, block(REJECT, 0, 0, BLOCK)),
        ("HAVE_ALL twice", RULE, both, 2 * message(HAVE_ALL)),
        ("both sets", RULE, both, message(HAVE_ALL) + message(HAVE_NONE)),
        ("all after the bitfield", RULE, both, bits(t) + message(HAVE_ALL)),
        ("a favour out of range", RULE, both, index(ALLOWED_FAST, t.pieces)),
        ("BEP 10 unannounced", RULE, FAST, message(EXTENDED, b"\0de")),
        ("an extension without number", RULE, both, message(EXTENDED)),
        ("a handshake of noise", RULE, both, message(EXTENDED, b"\0noise")),
        ("a handshake that is a list", RULE, both,
         message(EXTENDED, b"\0le")),
        ("hashes of a v1 torrent", RULE, both, message(21, bytes(48))),
        ("a nesting bomb", RULE, both,
         message(EXTENDED, b"\0" + b"d1:a" * 20000)),
    ]


def harmless(t):
    """(what, stream): passed over; the peer is answered afterwards."""
    last = t.pieces - 1
    return [
        ("keep-alives", bytes(4) * 50000),
        ("an unknown message", message(99, bytes(100))),
        ("an offset that wraps", block(REQUEST, 0, 0xffffffff, BLOCK)),
        ("a length that wraps", block(REQUEST, last, 1, 0xffffffff)),
        ("a request of nothing", block(REQUEST, 0, 0, 0)),
        ("a request of too much", block(REQUEST, 0, 0, (128 << 10) + 1)),
        ("a request past the end", block(REQUEST, 0xffffffff, 0, BLOCK)),
        ("a cancel of nothing", block(CANCEL, 0, 0, BLOCK)),
        ("a reject of nothing", block(REJECT, 0, 0, BLOCK)),
        ("moods", (message(INTERESTED) + message(NOT_INTERESTED)) * 3000),
        ("chokes", (message(UNCHOKE) + message(CHOKE)) * 3000),
        ("an unknown extension", message(EXTENDED, b"\x77noise")),
        ("the same piece", index(HAVE, 0) * 5000),
    ]


def strangers(victim):
    """(what, stream): closed before we have said a word."""
    hello = handshake(victim.torrent.raw)
    return [
        ("HTTP", b"GET / HTTP/1.1\r\nHost: x\r\n\r\n" + bytes(80)),
        ("a message first", message(UNCHOKE) + hello),
        ("another length", b"\x14" + hello[1:]),
        ("another name", hello.replace(b"BitTorrent", b"BitTorment")),
        ("another torrent", handshake(b"?" * 20)),
        ("zeros", bytes(4096)),
    ]


def is_answered(line):
    """A request that cannot be served is refused (BEP 6)."""
    probe = block(REQUEST, 0, 7, 7)
    return line.send(probe) and any(
        kind == REJECT and body == probe[5:]
        for kind, body in line.messages())


def repeat(victim, source):
    """An offender comes back until he is banned; nobody else is."""
    patient = victim.dial(source=source)
    assert patient.take(68) and is_answered(patient)
    for turn in range(OFFENCES):
        line = victim.dial(size(0xffffffff, EXTENDED), source=source)
        assert line.closed(5), turn
        assert victim.ended(line.name) == [LONG], turn
        line.close()
    told = [text for text in victim.log() if "banned for 10 min" in text]
    assert len(told) == 1 and source in told[0], told
    for _ in range(3):
        line = victim.dial(source=source)
        assert line.closed(5) and not line.heard, line.heard
        line.close()
    assert is_answered(patient)
    other = victim.dial()
    assert other.take(68) and is_answered(other)
    other.close()
    patient.close()


def scenario(lab):
    victim = Victim(link_hosts(lab), make_film(lab, (1 << 20) + 5))
    cases = fatal(victim.torrent)
    # Each from an address of its own: who does two of them has a record.
    *addresses, offender = add_addresses(victim.rogue, len(cases) + 1)
    for source, (what, reason, flags, stream) in zip(addresses, cases):
        line = victim.dial(stream, flags=flags, source=source)
        assert line.closed(5), what
        assert victim.ended(line.name) == [reason], \
            (what, victim.ended(line.name))
        line.close()
    for what, stream in harmless(victim.torrent):
        line = victim.dial()
        assert line.take(68), what
        assert line.send(stream) and is_answered(line), \
            (what, victim.ended(line.name))
        line.close()
    for what, stream in strangers(victim):
        line = Line.dial(victim.rogue, victim.address)
        line.send(stream)
        assert line.closed(5) and not line.heard, (what, line.heard)
        assert not victim.ended(line.name), what    # nor a line in the log
        line.close()
    repeat(victim, offender)
    victim.survived()


if __name__ == "__main__":
    run(scenario)

"""Goal: what peers say of third parties sends us nowhere it should not. Gossip
by the thousand, with loopback, multicast, unspecified and port 0 addresses, at
every message's rate, and rendezvous messages (ut_holepunch) that name such
addresses: nobody of these is dialled, who goes on is put out, and an honest
peer's address among them is still found."""

import socket
import struct

from hostile import *
from lab import run

UT_PEX, UT_HOLEPUNCH = 1, 4     # our numbers for them, in our own handshake


def text(value):
    return b"%d:%s" % (len(value), value)


def compact(address, port):
    return socket.inet_aton(address) + struct.pack(">H", port)


def hello():
    names = b"".join(text(name) + b"i%de" % number for name, number in
                     ((b"ut_holepunch", UT_HOLEPUNCH), (b"ut_pex", UT_PEX)))
    return message(EXTENDED, b"\0d1:md" + names + b"ee")


def gossip(their_id, peers):
    body = text(b"added") + text(b"".join(peers)) \
        + text(b"added.f") + text(bytes(len(peers)))
    return message(EXTENDED, bytes([their_id]) + b"d" + body + b"e")


def their_ids(line):
    """What the victim calls its extensions, from its handshake."""
    for kind, body in line.messages():
        if kind == EXTENDED and body[0] == 0:
            found = {}
            for name in (b"ut_pex", b"ut_holepunch", b"ut_metadata"):
                mark = text(name) + b"i"
                if mark in body:
                    number = body.split(mark)[1].split(b"e")[0]
                    found[name.decode()] = int(number)
            return found
    raise AssertionError("no extension handshake")


def trap(host, address, port=0):
    """A listener that must never be called."""
    return Server(host, lambda line: line.take(1 << 20), address, port)


def attacker(victim, source):
    line = victim.dial(message(HAVE_NONE), hello(), source=source)
    assert line.take(68)
    return line, their_ids(line)


def scenario(lab):
    hosts = link_hosts(lab)
    addresses = add_addresses(hosts[2], 4)
    torrent = make_film(lab)
    honest = []

    def serve(line):
        honest.append(line)
        greet(line, torrent, message(HAVE_ALL), message(UNCHOKE))
        give(line, torrent)

    helper = Server(hosts[2], serve, addresses[3])
    victim = Victim(hosts, torrent, seed=False)
    traps = [trap(hosts[0], "127.0.0.1")]
    local = [compact(*traps[0].address), compact("224.0.0.1", 6881),
             compact("0.0.0.0", 6881), compact(addresses[2], 0),
             compact("255.255.255.255", 6881), compact("169.254.1.1", 80)]

    line, ids = attacker(victim, addresses[0])
    assert "ut_holepunch" not in ids, ids
    # Unasked-for numbers of rendezvous, connect and error messages.
    for number in (UT_HOLEPUNCH, 5, 77):
        for kind in range(3):
            line.send(message(EXTENDED, bytes([number]) + struct.pack(
                ">BB4sHI", kind, 0, socket.inet_aton("127.0.0.1"),
                traps[0].address[1], 0)))
    crowd = [compact(f"203.0.113.{200 + at % 40}", 1 + at)
             for at in range(10000)]
    line.send(gossip(ids["ut_pex"], local + [compact(*helper.address)]
                     + crowd))
    until(lambda: honest, 20, "the one honest address is dialled")
    victim.read(1 << 20)
    for _ in range(40):
        line.send(gossip(ids["ut_pex"], crowd))
    assert line.closed(10)
    assert victim.ended(line.name) == ["broke the protocol"], \
        victim.ended(line.name)
    assert not traps[0].lines, "loopback was dialled"
    victim.survived()


if __name__ == "__main__":
    run(scenario)

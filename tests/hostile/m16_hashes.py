"""Goal: nobody does harm with the hashes of a v2 torrent (BEP 52). Wild numbers
are rejected; hashes and rejections that nobody asked for, and hash messages
where they have no place (a v1 torrent, a magnet before its metadata, a hybrid's
other hash), end who sent them; who gives wrong hashes, a wrong leaf, zeros or
wrong blocks is named and banned; who is silent delays and no more; a flood is
answered with bounded memory. Honest peers stay, and every byte that is read is
right. All of it of a v2 torrent and of a hybrid, and what is answered of their
magnets, too."""

import hashlib
import re
import struct
import threading

from hostile import *
from lab import run
from shoal import Mount
from swarm import libtorrent, make_torrent, start_seed, write_blob

HASH_REQUEST, HASHES, HASH_REJECT = 21, 22, 23
PIECE_SIZE = 65536
SIZE = 40 * PIECE_SIZE + 33333


# ---- a v2 torrent, its tree, and its .torrent without layers ----

class Film:
    """A v2 torrent or a hybrid of one file. `bare` has no piece layers, as a
    magnet; `info` is its info dictionary."""

    def __init__(self, lab, kind="v2"):
        lt = libtorrent()
        path = write_blob(lab.path(kind, "film.bin"), SIZE, 52)
        self.torrent = make_torrent(path, kind, piece=PIECE_SIZE)
        self.torrent.raw = bytes.fromhex(self.torrent.v2)[:20]
        with open(path, "rb") as content:
            self.torrent.content = content.read()
        with open(self.torrent.file, "rb") as whole:
            meta = lt.bdecode(whole.read())
        del meta[b"piece layers"]
        self.kind, self.info = kind, lt.bencode(meta[b"info"])
        self.bare = path + ".bare.torrent"
        with open(self.bare, "wb") as out:
            out.write(lt.bencode(meta))
        self.levels = self._tree()
        self.root = self.levels[-1][0]

    def _tree(self):
        level = [hashlib.sha256(self.torrent.content[at:at + BLOCK]).digest()
                 for at in range(0, SIZE, BLOCK)]
        while len(level) & (len(level) - 1):
            level.append(bytes(32))
        levels = [level]
        while len(level) > 1:
            level = [hashlib.sha256(level[at] + level[at + 1]).digest()
                     for at in range(0, len(level), 2)]
            levels.append(level)
        return levels

    def span(self, kind, base, index, length, proof, hashes=b""):
        return message(kind, self.root + struct.pack(
            ">4I", base, index, length, proof) + hashes)

    def answer(self, body):
        """The right hashes for a request's body."""
        base, index, length, proof = struct.unpack(">4I", body[32:48])
        found = list(self.levels[base][index:index + length])
        up = length.bit_length() - 1
        for level in range(base + up, base + proof + 1):
            found.append(self.levels[level][(index >> (level - base)) ^ 1])
        return found


# ---- what they say unasked ----

def wild(film):
    """Each is rejected with its own numbers."""
    top = 2 ** 32 - 1
    return [film.span(HASH_REQUEST, *numbers) for numbers in (
        (top, top, top, top), (0, 0, 2 ** 31, 1), (0, top - 1, 2, 1),
        (2, 0, 2, top), (64, 0, 2, 0), (0, 0, 8192, 2), (2, 1, 2, 5),
        (2, 0, 3, 5), (2, 0, 0, 5), (2, 64, 64, 5), (2, 0, 64, 6),
        (8, 0, 1, 0))] + [message(HASH_REQUEST, b"r" * 32 + bytes(16))]


def check_wild(victim, film):
    line = victim.dial()
    line.take(68)
    for request in wild(film):
        line.send(request)
        for kind, body in line.messages():
            if kind in (HASHES, HASH_REJECT):
                assert kind == HASH_REJECT and body == request[5:], body
                break
        else:
            raise AssertionError("closed")
    line.close()


def check_unasked(victim, film, sources):
    layer = b"".join(film.levels[2])
    for what in (film.span(HASHES, 2, 0, 64, 5, layer),
                 film.span(HASHES, 2, 0, 64, 5, bytes(64 * 32)),
                 film.span(HASH_REJECT, 2, 0, 64, 5),
                 message(HASHES, film.root + bytes(16) + b"half"),
                 message(HASHES, film.root + bytes(20000))):
        line = victim.dial(source=next(sources))
        assert line.take(68) and line.send(what) and line.closed(5)
        assert victim.ended(line.name)[0] in (
            "broke the protocol", "message too long"), \
            victim.ended(line.name)
        line.close()


def check_out_of_place(lab, hosts, film, both, sources):
    """Where hashes mean nothing: of v1, of v1's side, before the metadata."""
    plain = make_torrent(write_blob(lab.path("v1", "plain.bin"), 99999, 1))
    lost = "magnet:?xt=urn:btmh:1220" + "77" * 32
    mount = Mount(hosts[0], "-d", plain.file, both.torrent.file, lost,
                  name="places", options=["port=6882", "wait=0"])
    for name in "plain.bin", "film.bin":
        mount.wait_path(name)   # it may open its torrents one by one
    for raw in (plain.v1, both.torrent.v1, "77" * 20):
        for kind in HASH_REQUEST, HASHES, HASH_REJECT:
            extra = b"".join(film.levels[2]) if kind == HASHES else b""
            line = Line.dial(hosts[2], (hosts[0].ip4, 6882), next(sources))
            line.send(handshake(bytes.fromhex(raw)))
            assert line.take(68), raw
            line.send(film.span(kind, 2, 0, 64, 5, extra))
            assert line.closed(5), (raw, kind)
            line.close()
    assert mount.stop() == 0


def check_flood(victim, film):
    """Whoever asks without end and reads nothing is put out; whoever asks for
    nonsense too."""
    line = victim.dial()
    line.sock.settimeout(2)
    line.send(film.span(HASH_REQUEST, 0, 0, 128, 7) * 50000)
    line.close()
    line = victim.dial()
    assert line.take(68)
    line.send(film.span(HASH_REQUEST, 9, 0, 2, 0) * 400)
    assert line.closed(10)
    line.close()


# ---- what they answer ----

class Giver:
    """A seed that answers requests for hashes as `bend` says: with a list of
    hashes, or None for silence, or "reject"; and for blocks with `spoil`'s."""

    def __init__(self, host, film, address, bend, spoil=None):
        self.film, self.bend, self.spoil = film, bend, spoil
        self.asked, self.sent = 0, 0
        self.server = Server(host, self._serve, address)
        self.name = self.server.name

    def _serve(self, line):
        greet(line, self.film.torrent, message(HAVE_ALL), message(UNCHOKE),
              message(EXTENDED, b"\0d1:md11:ut_metadatai1ee13:metadata_size"
                      b"i%dee" % len(self.film.info)))
        for kind, body in line.messages():
            if kind == REQUEST:
                self._give_block(line, body)
            elif kind == HASH_REQUEST:
                self._give_hashes(line, body)
            elif kind == EXTENDED and body[0] == 0:
                said = libtorrent().bdecode(body[1:])
                self.number = said[b"m"][b"ut_metadata"]
            elif kind == EXTENDED and body[0] == 1:
                self._give_metadata(line, body)

    def _give_metadata(self, line, body):
        piece = libtorrent().bdecode(body[1:])[b"piece"]
        line.send(message(EXTENDED, bytes([self.number]) + (
            b"d8:msg_typei1e5:piecei%de10:total_sizei%dee"
            % (piece, len(self.film.info)))
            + self.film.info[piece * BLOCK:(piece + 1) * BLOCK]))

    def _give_block(self, line, body):
        piece, begin, length = struct.unpack(">III", body)
        at = piece * PIECE_SIZE + begin
        data = self.film.torrent.content[at:at + length]
        self.sent += 1
        if self.spoil:
            data = self.spoil(data)
        line.send(message(PIECE, body[:8] + data))

    def _give_hashes(self, line, body):
        self.asked += 1
        found = self.bend(self.film.answer(body))
        if found == "reject":
            line.send(message(HASH_REJECT, body))
        elif found is not None:
            line.send(message(HASHES, body + b"".join(found)))


def flip(found, at):
    found[at] = bytes([found[at][0] ^ 1]) + found[at][1:]
    return found


LIARS = {
    "a wrong hash": lambda found: flip(found, 3 % len(found)),
    "a zero": lambda found: [bytes(32)] + found[1:],
    "zeros": lambda found: [bytes(32)] * len(found),
    "a wrong last one": lambda found: flip(found, len(found) - 1),
}
BREAKERS = {
    "too few": lambda found: found[:-1],
    "too many": lambda found: found + [bytes(32)],
}
IDLERS = {"silence": lambda found: None, "a reject": lambda found: "reject"}
SPOILERS = {
    "a wrong byte": lambda data: data[:-1] + bytes([data[-1] ^ 1]),
    "another's block": lambda data: bytes(len(data)),
}


def check_answers(hosts, film, source, label, sources):
    """All of them at once, then an honest seed: the file is read; liars are
    banned, and nobody else is."""
    kinds = {**LIARS, **BREAKERS, **IDLERS}
    givers = {what: Giver(hosts[2], film, next(sources), bend)
              for what, bend in kinds.items()}
    givers |= {what: Giver(hosts[2], film, next(sources),
                           lambda found: found, spoil)
               for what, spoil in SPOILERS.items()}
    mount = Mount(hosts[0], "-d", source, name=label, options=[
        "port=6883", *(f"peer={giver.name}" for giver in givers.values())])
    path, got = mount.wait_path("film.bin", "film.bin"), []

    def read():
        with open(path, "rb") as film_file:
            got.append(film_file.read())
    reader = threading.Thread(target=read, daemon=True)
    reader.start()
    until(lambda: all(giver.sent if what in SPOILERS else giver.asked
                      for what, giver in givers.items()), 40,
          "everybody is asked")
    seed = start_seed(hosts[1], film.torrent)
    seed.ask(f"peer {hosts[0].ip4}:6883")
    reader.join(40)
    assert got and got[0] == film.torrent.content
    text = mount.proc.text()
    for what, giver in givers.items():
        said = f": {giver.name} sent wrong hashes"
        assert (said in text) == (what in LIARS), (what, text[-4000:])
        said = f": {giver.name} sent wrong bytes"
        assert (said in text) == (what in SPOILERS), (what, text[-4000:])
        ends = re.findall(f"peer {giver.name} ends: (.*)", text)
        if what in BREAKERS:
            assert "broke the protocol" in ends, (what, ends)
        if what in IDLERS:
            assert set(ends) <= {"of no use"}, (what, ends)
    assert seed.address not in re.findall(r": (\S+) sent wrong", text)
    assert mount.stop() == 0
    seed.stop()
    for giver in givers.values():
        giver.server.close()


def scenario(lab):
    hosts = link_hosts(lab)
    # Each offence from an address of its own: repeated, it bans the host.
    sources = iter(add_addresses(hosts[2], 80))
    films = [Film(lab, kind) for kind in ("v2", "hybrid")]
    for film in films:
        victim = Victim(hosts, film.torrent)
        victim.read()
        check_wild(victim, film)
        check_unasked(victim, film, sources)
        check_flood(victim, film)
        victim.survived()
        victim.seed.stop()
    check_out_of_place(lab, hosts, *films, sources)
    for film in films:
        check_answers(hosts, film, film.bare, f"{film.kind}-bare", sources)
        check_answers(hosts, film, film.torrent.magnet(),
                      f"{film.kind}-magnet", sources)


if __name__ == "__main__":
    run(scenario)

"""Goal: wrong bytes reach nobody, and who sent them is found. Ten peers, five
of them liars, each behind an address of his own: the file is read byte for
byte, every liar whose bytes made a piece wrong is banned, and nobody else, and
what was fetched in vain stays below a third. Three kinds of liars: who answers
first and bends every third block, who bends one block in twenty, and who bends
only blocks of pieces that others have a part in. None of them spoils more than
two pieces. What a liar lies about follows from what he was asked for, and from
nothing else."""

import re
import threading
import time

from hostile import *
from lab import run

WASTE = 0.3
BAD = 2         # pieces, a liar
LATE = 0.004    # who is honest answers so much later
LONG = 32 << 20     # a piece; memory takes none of more than 16 MiB


class Liar:
    """`bend` is for give(). What he was asked for tells him whether others
    have a part in a piece."""

    def __init__(self, kind):
        self.kind, self.bent, self.lock = kind, set(), threading.Lock()
        self.count, self.asked = 0, {}

    def lies(self, piece, begin):
        self.count += 1
        seen = self.asked.setdefault(piece, set())
        seen.add(begin)
        if self.kind == "fast":
            return (begin // BLOCK + piece) % 3 == 0
        if self.kind == "rare":
            return self.count % 20 == 7
        return begin > 0 and 0 not in seen     # the first was another's

    def bend(self, piece, begin, data):
        with self.lock:
            if not self.lies(piece, begin):
                return data
            self.bent.add(piece)
        return bytes(byte ^ 0x55 for byte in data[:64]) + data[64:]


def slow(piece, begin, data):
    time.sleep(LATE)
    return data


def count_bad(text, liars):
    """By liar: the pieces that were found wrong before he was banned and in
    which he bent a block; and those that were on their way to be hashed then,
    of which only what he sent is fetched again."""
    checks, banned = [], set()
    for line in text.splitlines():
        if found := re.search(r": piece (\d+) is wrong", line):
            checks.append((int(found[1]), set(), set(banned)))
        elif found := re.search(r": ([\d.]+):\d+ had a part in piece", line):
            checks[-1][1].add(found[1])
        elif found := re.search(r": ([\d.]+):\d+ sent wrong bytes", line):
            banned.add(found[1])
    bad = {address: set() for address in liars}
    late = {address: set() for address in liars}
    for piece, senders, before in checks:
        for address in senders & set(liars):
            if piece in liars[address].bent:
                (late if address in before else bad)[address].add(piece)
    return [{address: len(pieces) for address, pieces in found.items()}
            for found in (bad, late)]


def attack(lab, hosts, torrent, kind, n_liars, n_honest, waste=WASTE):
    """(bad pieces by liar, pieces that were wrong, status) once all is read
    and every liar that ever bent a block of a wrong piece is banned."""
    addresses = add_addresses(hosts[2], n_liars + n_honest)
    liars = {address: Liar(kind) for address in addresses[:n_liars]}

    def serve(address):
        liar = liars.get(address)

        def answer(line):
            greet(line, torrent, message(HAVE_ALL), message(UNCHOKE))
            give(line, torrent, liar.bend if liar else slow)
        return answer

    servers = [Server(hosts[2], serve(address), address)
               for address in addresses]
    victim = Victim(hosts, torrent, seed=False,
                    options=[f"peer={server.name}" for server in servers])
    until(lambda: victim.status()["peers_connected"] == len(servers), 10,
          "all are connected")
    victim.read()
    text, status = victim.mount.proc.text(), victim.status()
    told = re.findall(r": ([\d.]+):\d+ sent wrong bytes", text)
    wrong = re.findall(r"piece (\d+) is wrong", text)
    bad, late = count_bad(text, liars)
    print(f"{kind}: {len(told)} of {n_liars} banned, bad pieces "
          f"{sorted(bad.values())} and {sum(late.values())} late, "
          f"{len(wrong)} in all, "
          f"{status['waste_bytes'] / torrent.size:.0%} in vain")
    assert set(told) <= set(liars) and len(told) == len(set(told)), told
    assert {address for address in bad if bad[address]} <= set(told), bad
    assert max(bad.values()) <= BAD, bad
    assert status["waste_bytes"] < waste * torrent.size, status
    victim.survived()
    for server in servers:
        server.close()
    for address in addresses:
        lab.ip("-n", hosts[2].name, "addr", "del", f"{address}/24",
               "dev", "net0")
    return bad, wrong


def scenario(lab):
    hosts = link_hosts(lab)
    torrent = make_film(lab, 16 << 20)
    for kind in ("fast", "rare", "shared"):
        attack(lab, hosts, torrent, kind, 5, 5)
    _, wrong = attack(lab, hosts, torrent, "rare", 1, 7)
    assert len(wrong) <= 3, wrong
    # So it is of pieces that are staged, and not whole in memory. To fetch one
    # of them again is a quarter of all.
    long = make_film(lab, 4 * LONG, piece=LONG)
    for kind in ("fast", "shared"):
        attack(lab, hosts, long, kind, 2, 3, waste=1.01)


if __name__ == "__main__":
    run(scenario)

"""Goal: wrong bytes reach nobody, and who sent them is found. Ten peers, five
of them liars, each behind an address of his own: the file is read byte for
byte, the liars, and only they, are banned, each after at most two bad pieces,
and what was fetched in vain stays below a third."""

import re
import threading

from hostile import *
from lab import run

LIARS = HONEST = 5
WASTE = 0.3
BAD_PIECES = 2


class Liar:
    """Every third of his blocks is bent; he may answer faster than others."""

    def __init__(self):
        self.bent, self.lock = set(), threading.Lock()

    def bend(self, piece, begin, data):
        if (begin // BLOCK + piece) % 3:
            return data
        with self.lock:
            self.bent.add(piece)
        return bytes(byte ^ 0x55 for byte in data[:64]) + data[64:]


def scenario(lab):
    hosts = link_hosts(lab)
    addresses = add_addresses(hosts[2], LIARS + HONEST)
    torrent = make_film(lab, 8 << 20)
    liars = {address: Liar() for address in addresses[:LIARS]}

    def serve(address):
        liar = liars.get(address)

        def answer(line):
            greet(line, torrent, message(HAVE_ALL), message(UNCHOKE))
            give(line, torrent, liar and liar.bend)
        return answer

    servers = [Server(hosts[2], serve(address), address)
               for address in addresses]
    victim = Victim(hosts, torrent, seed=False,
                    options=[f"peer={server.name}" for server in servers])
    until(lambda: victim.status()["peers_connected"] == LIARS + HONEST, 10,
          "all ten are connected")
    victim.read()
    told = re.findall(r": ([\d.]+):\d+ sent wrong bytes",
                      victim.mount.proc.text())
    status = victim.status()
    print(f"banned {sorted(told)}; bad pieces "
          f"{[len(liar.bent) for liar in liars.values()]}; "
          f"{status['waste_bytes'] / torrent.size:.0%} in vain")
    assert set(told) <= set(liars) and len(told) == len(set(told))
    guilty = {address for address, liar in liars.items() if liar.bent}
    assert guilty, "nobody lied"
    assert set(told) == guilty, (told, guilty)
    assert status["waste_bytes"] < WASTE * torrent.size, status
    victim.survived()


if __name__ == "__main__":
    run(scenario)

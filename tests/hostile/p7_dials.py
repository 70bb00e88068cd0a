"""Goal: nobody can turn us against a third party. Peers that tell of dozens of
ports of one host, and of a host on every address of it, make us connect to each
address twice a minute at most, whoever tells it and in however many words."""

import struct
import time

import crowd
from hostile import *
from lab import run

TELLERS, PORTS, EXT_ID_UT_PEX = 12, 4, 2


def hello():
    return message(EXTENDED, b"\0d1:md6:ut_pexi1eee")


def gossip(addresses):
    added = b"".join(bytes(map(int, address.split(".")))
                     + struct.pack(">H", port) for address, port in addresses)
    flags = bytes(len(addresses))
    return message(EXTENDED, bytes([EXT_ID_UT_PEX]) + b"d5:added%d:%s7:added.f"
                   b"%d:%se" % (len(added), added, len(flags), flags))


def scenario(lab):
    hosts = lab.hosts("victim", "friend", "rogue", "bystander")
    lab.link(*hosts)
    bystander = hosts.pop()
    tellers = add_addresses(hosts[2], TELLERS)
    torrent = make_film(lab)
    # Whoever is dialled there hangs up: it is no peer.
    doors = [Server(bystander, lambda line: line.close())
             for _ in range(TELLERS * PORTS)]
    victim = Victim(hosts, torrent)
    began = time.monotonic()
    for at, address in enumerate(tellers):
        told = [door.address for door in doors[at * PORTS:][:PORTS]]
        victim.dial(message(HAVE_NONE), hello(), gossip(told), source=address)

    def knocks():
        return sum(len(door.lines) for door in doors)
    until(lambda: knocks() >= 1, 10, "somebody is tried")
    victim.read()
    # A failure is repeated after seconds, by an address book that knows of 48.
    time.sleep(8)
    took = time.monotonic() - began
    print(f"{knocks()} connections to the bystander in {took:.0f} s")
    assert knocks() <= 2 * (1 + took // 60), knocks()
    victim.survived()


if __name__ == "__main__":
    run(scenario)

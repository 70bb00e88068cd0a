"""Goal: one host that connects without end takes neither the descriptors nor
the places of the others. During 2000 connections, half of them with a proper
handshake and none ever closed by the attacker, a read goes on, and an honest
leecher comes in and is served."""

import os

from hostile import *
from lab import run
from swarm import start_leech

CONNECTIONS = 2000
DESCRIPTORS = 200


def flood(victim):
    """Connect and hold; every second one says a handshake."""
    lines = []
    for index in range(CONNECTIONS):
        line = Line.dial(victim.rogue, victim.address)
        if index % 2:
            line.send(handshake(victim.torrent.raw) + message(INTERESTED))
        lines.append(line)
    return lines


def descriptors(victim):
    return len(os.listdir(f"/proc/{victim.mount.daemon()}/fd"))


def scenario(lab):
    victim = Victim(link_hosts(lab), make_film(lab))
    victim.read(1 << 20)
    before = len(victim.log())
    lines = flood(victim)
    print(f"{descriptors(victim)} descriptors, "
          f"{victim.status()['peers_connected']} peers")
    assert descriptors(victim) < DESCRIPTORS
    victim.read()
    victim.seed.stop()
    leech = start_leech(victim.friend, victim.torrent, lab.fresh_dir("leech"),
                        "--peer", "{}:{}".format(*victim.address))
    leech.wait("complete", 25)
    assert len(victim.log()) - before < CONNECTIONS / 4
    for line in lines:
        line.close()
    victim.survived()


if __name__ == "__main__":
    run(scenario)

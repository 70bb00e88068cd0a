"""Goal: a name is no proof. We hang up on ourselves and do not try again; one
address with two names is two peers at most; who borrows the honest seed's peer
id does not push him out; nobody learns by asking which torrents there are, and
who goes on asking is not heard at all."""

import os

from hostile import *
from lab import run


def learn_id(victim):
    """The honest seed's peer id, which he tells everybody."""
    line = Line.dial(victim.rogue, (victim.friend.ip4, 7000))
    line.send(handshake(victim.torrent.raw))
    answer = line.take(68)
    line.close()
    return answer[48:]


def seed_lines(victim):
    return [peer for peer in victim.status()["peers"]
            if peer["addr"] == victim.seed.address]


def scenario(lab):
    hosts = link_hosts(lab)
    victim = Victim(hosts, make_film(lab),
                    options=[f"peer={hosts[0].ip4}:6881"])
    until(lambda: "ends: ourselves" in victim.mount.proc.text(), 10,
          "we met ourselves")
    until(lambda: seed_lines(victim), 10, "the seed is connected")
    for peer_id in (learn_id(victim), b"\xff" * 20, b"\xff" * 20, bytes(20)):
        line = victim.dial(message(HAVE_ALL), peer_id=peer_id)
        line.take(68)   # nothing, when he is a second one of the same name
        assert seed_lines(victim), victim.mount.proc.text()[-600:]
    name = victim.seed.address
    assert "connected twice" not in victim.ended(name), victim.ended(name)
    before = len(victim.log())
    for _ in range(300):
        line = Line.dial(victim.rogue, victim.address)
        line.send(handshake(os.urandom(20)))
        assert line.closed(5) and not line.heard
        line.close()
    line = victim.dial()    # he has guessed too often to hear of this one
    assert line.closed(5) and not line.heard
    line.close()
    assert len(victim.log()) - before < 30
    assert victim.mount.proc.text().count("ends: ourselves") <= 2
    victim.survived()


if __name__ == "__main__":
    run(scenario)

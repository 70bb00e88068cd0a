"""Goal: peers that only hold a place cost a reader little. 64 of them, of every
sort, and one honest seed of 256 KiB/s, of all of whom a tracker tells: 1 MiB
comes soon, and who never finishes his handshake is cut off in time. How soon
exactly, `bench silent` measures."""

import time

import crowd
from hostile import *
from lab import run
from swarm import PEER_PORT

RATE, SIZE, SILENT = 256 << 10, 1 << 20, 64


def scenario(lab):
    hosts = link_hosts(lab)
    places = add_addresses(hosts[2], SILENT)
    peers = [(hosts[1].ip4, PEER_PORT)]
    tracker = crowd.tell(hosts[2], lambda: peers)
    torrent = make_film(lab, 2 * SIZE,
                        trackers=[f"http://{tracker.name}/announce"])
    servers = crowd.place(hosts[2], torrent, places)
    peers[:0] = [server.address for server in servers]
    seed = start_seed(hosts[1], torrent, "--up-limit", str(RATE),
                      "--no-tracker")
    victim = Victim(hosts, torrent, seed=False)
    began = time.monotonic()
    victim.read(SIZE)
    took = time.monotonic() - began
    print(f"1 MiB in {took:.1f} s, {took * RATE / SIZE:.2f} of the ideal")
    assert took < 40 * SLOW, took
    mute = [line for server in servers[::len(crowd.KINDS)]
            for line in server.lines]
    assert mute
    until(lambda: all(line.closed(0.1) for line in mute), 15,
          "the silent are cut off")
    victim.survived()
    seed.stop()


if __name__ == "__main__":
    run(scenario)

"""Goal: no tracker, no link, no peer named anywhere. `ls MOUNT/<info-hash>`, of
40 digits or 64, finds the swarm in the DHT of libtorrent's nodes, and its files
are read; when all who had them have left, libtorrent and Transmission find the
mount there, the only seed. The same where there is nothing but IPv6. A hash
that nobody has is an error, soon, holds up nothing else meanwhile, and is not
remembered as absent; a waiting `ls` can be interrupted. What the node knew is
there after a restart, without the node it began at."""

import json
import os
import signal
import time

from clients import Transmission
from dht_nodes import NODES, Swarm, at, first_nodes, mount_of, settle
from lab import run, until
from shoal import assert_same

NOBODY = "5ca1ab1e" * 5


def list_hash(mount, name, seconds=60):
    """`ls MOUNT/<info-hash>` as a person does it; what it says."""
    return mount.host.run(["ls", mount.at(name)], seconds)


def wanted(mount):
    """Info-hashes that its node looks for."""
    with open(mount.at(".shoalfs/dht/status.json")) as status:
        return json.load(status)["info_hashes"]


def reads(mount, swarm):
    until(lambda: list_hash(mount, swarm.name).returncode == 0, 60,
          f"ls {swarm.name}")
    assert_same(mount.at(swarm.name), swarm.torrent.path)


def nobody_has_it(mount):
    """The error is one, and soon; nothing waits for it but who asked."""
    began, slowest = time.monotonic(), 0
    waiting = mount.host.start(["ls", mount.at(NOBODY)])
    while waiting.running():
        before = time.monotonic()
        os.listdir(mount.path)
        slowest = max(slowest, time.monotonic() - before)
        time.sleep(0.1)
    assert time.monotonic() - began < 20
    assert slowest < 1, slowest
    assert waiting.wait(1) == 2, waiting.text()
    assert "No such file" in waiting.text(), waiting.text()
    # The answer stands for moments; then it is asked for again, and that can
    # be called off.
    time.sleep(4)
    again = mount.host.start(["ls", mount.at(NOBODY)])
    time.sleep(0.5)
    assert again.running()
    again.signal(signal.SIGINT)
    assert again.wait(2) != 0
    # What is not exactly hex is nobody's: no search, no wait.
    before = wanted(mount)
    for name in (NOBODY[:-1], NOBODY + "0", NOBODY[:-1] + "g", NOBODY + " ",
                 NOBODY * 2, (NOBODY * 2)[:63], "0x" + NOBODY[2:]):
        assert list_hash(mount, name, 5).returncode == 2
    assert wanted(mount) <= before


def both_ways(lab, hosts, swarms, ipv6, other=None):
    """The mount finds their seeds, and is found when they are gone."""
    reader, router, far = hosts
    boot = at(router, ipv6)
    first = first_nodes(lab, router, ipv6)
    seeds = [swarm.seed(ipv6, boot) for swarm in swarms]
    mount = mount_of(reader, ipv6, [boot], name=f"mnt{ipv6:d}")
    for swarm in swarms:
        reads(mount, swarm)
    for seed in seeds:
        seed.stop()
    leeches = [swarm.leech(ipv6, boot) for swarm in swarms]
    if other is not None:
        other.add()
    if not ipv6:
        nobody_has_it(mount)
    for leech in leeches:
        leech.wait("complete", 60)
        leech.stop()
    return first, mount


def restarts(hosts, mount, swarm):
    """The table of the last run is enough."""
    reader, router, far = hosts
    assert mount.stop() == 0
    seed = swarm.seed(False, at(router, False))
    again = mount_of(reader, False, ["198.18.99.99:1"], name="mnt0")
    reads(again, swarm)
    assert again.stop() == 0
    seed.stop()


def scenario(lab):
    hosts = lab.hosts("reader", "router", "far", "other", "other6")
    lab.link(*hosts)
    settle(lab, *hosts)
    *hosts, other, other6 = hosts
    reader, router, far = hosts
    one, two = Swarm(lab, 27, "v1", far, 0), Swarm(lab, 28, "v2", far, 1)
    # They take their time to find the network, so they may begin with that.
    others = [Transmission(
        host, one.torrent, lab.fresh_dir("leech"), later=True,
        dht=[at(router, ipv6, number) for number in range(NODES)])
        for host, ipv6 in ((other, False), (other6, True))]
    first, mount = both_ways(lab, hosts, (one, two), False, others[0])
    first6, mount6 = both_ways(lab, hosts, (one, two), True, others[1])
    for transmission in others:
        transmission.wait_complete(90)
        transmission.stop()
    assert mount6.stop() == 0
    first6.stop()
    restarts(hosts, mount, Swarm(lab, 29, "v1", far, 2))
    first.stop()


if __name__ == "__main__":
    run(scenario)

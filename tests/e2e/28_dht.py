"""Goal: no tracker, no link, no peer named anywhere: `ls MOUNT/<info-hash>` finds
the swarm in the DHT of libtorrent's nodes, and its files are read. A hash that
nobody has is an error, soon, holds up nothing else meanwhile, and is not
remembered as absent; a waiting `ls` can be interrupted. What the node knew is
there after a restart, without the node it began at."""

import os
import signal
import time

from lab import run, until
from shoal import Mount, assert_same
from swarm import PEER_PORT, LtPeer, make_torrent, write_tree

PORT = 7010
NOBODY = "5ca1ab1e" * 5
NODES = 12


def settle(lab, host):
    """Addresses of networks of their own: nodes trust a /24 but little."""
    host.nets4 = [f"198.18.{host.index + 16 * at}.1" for at in range(NODES)]
    host.nets6 = [f"2001:{host.index + 16 * at:x}::1" for at in range(NODES)]
    for address in host.nets4 + host.nets6:
        lab.ip("-n", host.name, "addr", "add",
               f"{address}/{16 if ':' in address else 15}",
               "dev", "net0", "nodad")


def at(host, ipv6, number=0):
    return f"[{host.nets6[number]}]:{PEER_PORT}" if ipv6 \
        else f"{host.nets4[number]}:{PEER_PORT}"


def libtorrent_node(host, ipv6, dht, *source, listen=None):
    words = [word for node in dht for word in ("--dht", node)]
    return LtPeer(host, *source, "--listen", listen or at(host, ipv6),
                  "--plain", "--no-tracker", *words)


def first_nodes(host, torrent, ipv6):
    """As many nodes as clients want to know before they believe that they are
    in a network at all: one of libtorrent's for each address."""
    every = [at(host, ipv6, number) for number in range(NODES)]
    return libtorrent_node(host, ipv6, every, "--torrent", torrent.file,
                           "--save", torrent.parent, "--seed",
                           listen=",".join(every))


def seed_of(host, torrent, ipv6, dht):
    peer = libtorrent_node(host, ipv6, [dht], "--torrent", torrent.file,
                           "--save", torrent.parent, "--seed")
    peer.wait("complete", 10)
    return peer


def mount_of(host, ipv6, dht, **others):
    bind = [f"bind={host.nets6[0]}"] if ipv6 else [f"bind={host.nets4[0]}"]
    return Mount(host, options=[f"port={PORT}", *bind], dht=dht, **others)


def list_hash(mount, name, seconds=60):
    """`ls MOUNT/<info-hash>` as a person does it; what it says."""
    return mount.host.run(["ls", mount.at(name)], seconds)


def reads(mount, torrent, name):
    found = until(lambda: list_hash(mount, name).returncode == 0, 150,
                  f"ls {name}")
    assert found
    assert_same(mount.at(name) if os.path.isdir(torrent.path)
                else mount.at(name, torrent.name), torrent.path)


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
    assert list_hash(mount, NOBODY[:-1], 5).returncode == 2


def scenario_of(lab, hosts, torrent, name, ipv6):
    reader, router, far = hosts
    first = first_nodes(router, make_torrent(write_tree(
        lab.path(f"r{ipv6:d}", "other"), 7)), ipv6)
    boot = at(router, ipv6)
    seed = seed_of(far, torrent, ipv6, boot)
    until(lambda: seed.ask("dht") > 0, 30, "libtorrent's nodes know each other")
    mount = mount_of(reader, ipv6, [boot])
    reads(mount, torrent, name)
    if not ipv6:
        nobody_has_it(mount)
    seed.stop()
    return first, mount


def scenario(lab):
    hosts = lab.hosts("reader", "router", "far")
    lab.link(*hosts)
    for host in hosts:
        settle(lab, host)
    torrent = make_torrent(write_tree(lab.path("c", "tree"), 27))
    first, mount = scenario_of(lab, hosts, torrent, torrent.v1, False)
    assert mount.stop() == 0

    # The table of the last run is enough; the torrent is another one.
    more = make_torrent(write_tree(lab.path("d", "tree"), 28))
    seed = seed_of(hosts[2], more, False, at(hosts[1], False))
    again = mount_of(hosts[0], False, ["198.18.99.99:1"])
    reads(again, more, more.v1)
    assert again.stop() == 0
    seed.stop()
    first.stop()


if __name__ == "__main__":
    run(scenario)

"""Goal: `cat MOUNT/.shoalfs/dht/sample` asks the nodes of a DHT of libtorrent's
what they store (BEP 51) and shows it: an info-hash a line, with the name where
somebody has the metadata; lines come while it runs, and Ctrl-C ends it. Nothing
of it stays: no torrent in the mount, nothing in the store, no announce. `table`
has every contact."""

import json
import os
import re
import signal
import time

import dht_nodes
from lab import run, until
from swarm import LtPeer

NOBODY = "5ca1ab1e" * 5


def sample(mount):
    """What it says, and in what time."""
    began = time.monotonic()
    done = mount.host.run(["cat", mount.at(".shoalfs/dht/sample")], 90)
    assert done.returncode == 0, done.stderr
    return done.stdout, time.monotonic() - began


def node_of(mount):
    with open(mount.at(".shoalfs/dht/status.json")) as status:
        return json.load(status)


def is_interrupted(mount):
    cat = mount.host.start(["cat", mount.at(".shoalfs/dht/sample")])
    until(lambda: node_of(mount)["info_hashes"] > 0, 10, "names are wanted")
    assert cat.running(), cat.text()
    cat.signal(signal.SIGINT)
    assert cat.wait(2) != 0
    until(lambda: node_of(mount)["info_hashes"] == 0, 5, "and no more")


def shows_what_is_there(mount, swarms):
    text, seconds = sample(mount)
    lines = dict(line.partition(" ")[::2] for line in text.splitlines())
    print(f"{len(lines)} info-hashes in {seconds:.1f} s: {lines}")
    for swarm in swarms:
        assert lines[swarm.name] == swarm.torrent.path.split("/")[-1], lines
    assert lines[NOBODY] == ""
    assert all(re.fullmatch("[0-9a-f]{40}", line) for line in lines)
    assert seconds < 60
    # It stands for a while: nobody is asked again.
    again, seconds = sample(mount)
    assert again == text and seconds < 1


def leaves_nothing(mount):
    assert os.listdir(mount.path) == [".trackerignore"]
    assert node_of(mount)["info_hashes"] == 0
    with open(mount.at(".shoalfs/status.json")) as status:
        assert json.load(status)["torrents"] == []


def lists_the_table(mount):
    with open(mount.at(".shoalfs/dht/table")) as table:
        lines = table.read().splitlines()
    stats = node_of(mount)["ipv4"]
    kinds = [line.split()[3] for line in lines]
    assert kinds.count("good") >= 8, lines
    assert abs(len(lines) - stats["nodes"] - stats["spare"]) <= 4, lines
    for line in lines:
        assert re.fullmatch(r" *\d+ [0-9a-f]{40} [0-9.]+:\d+ "
                            r"(good|dubious|reserve)( \d+ ms)? \d+ s", line)


def scenario(lab):
    hosts = lab.hosts("reader", "router", "far")
    lab.link(*hosts)
    dht_nodes.settle(lab, *hosts)
    reader, router, far = hosts
    boot = dht_nodes.at(router, False)
    first = dht_nodes.first_nodes(lab, router)
    swarms = [dht_nodes.Swarm(lab, 27 + n, "v1", far, n) for n in range(2)]
    seeds = [swarm.seed(False, boot) for swarm in swarms]
    wisher = LtPeer(far, "--magnet", f"magnet:?xt=urn:btih:{NOBODY}",
                    "--save", lab.fresh_dir("wish"), "--plain",
                    "--no-tracker", "--dht", boot,
                    "--listen", dht_nodes.at(far, False, 3))
    until(lambda: wisher.ask("announces") >= 8, 30, "a wish is announced")
    mount = dht_nodes.mount_of(reader, False, [boot], name="mnt")
    until(lambda: node_of(mount)["ipv4"]["good"] >= 8, 30, "nodes are known")
    is_interrupted(mount)
    shows_what_is_there(mount, swarms)
    leaves_nothing(mount)
    lists_the_table(mount)
    assert mount.stop() == 0
    for peer in (wisher, *seeds, first):
        peer.stop()


if __name__ == "__main__":
    run(scenario)

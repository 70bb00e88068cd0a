"""`ls` of an info-hash that nobody has, in a DHT of twelve libtorrent nodes: how
long until it is an error; how long `ls MOUNT`, and reads of 4 KiB of another
file, take meanwhile at most; and how long a Ctrl-C takes to end such an `ls`.

The goals: an error within 20 s, 50 ms, at once (100 ms). Missed, a figure is
marked with !. The programs are those of SHOALFS_BIN, or of --bin. As root."""

import argparse
import mmap
import os
import random
import signal
import sys
import time

TESTS = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
sys.path[:0] = [os.path.join(TESTS, "lab"), os.path.join(TESTS, "e2e")]

import dht_nodes
from lab import run
from shoal import assert_same, content_path
from swarm import PEER_PORT, make_torrent, start_seed, write_blob

PAGE = 4096


def timed(action):
    begun = time.monotonic()
    action()
    return time.monotonic() - begun


def page(path, number, into):
    """With O_DIRECT, so that each comes to the daemon."""
    fd = os.open(path, os.O_RDONLY | os.O_DIRECT)
    try:
        os.preadv(fd, [into], number * PAGE)
    finally:
        os.close(fd)


def line(what, seconds, n, most):
    late = " !" if max(seconds) > most else ""
    print(f"{what:42} {sorted(seconds)[len(seconds) // 2] * 1000:9.1f} ms "
          f"in the middle, {max(seconds) * 1000:9.1f} at most, of {n}{late}",
          flush=True)


def measure(mount, path, rounds):
    errors, lists, reads, breaks = [], [], [], []
    pages, into = os.path.getsize(path) // PAGE, mmap.mmap(-1, PAGE)
    for at in range(rounds):
        name = f"{at:08x}" + "5ca1ab1e" * 4
        begun = time.monotonic()
        waiting = mount.host.start(["ls", mount.at(name)])
        while waiting.running():
            lists.append(timed(lambda: os.listdir(mount.path)))
            number = random.randrange(pages)
            reads.append(timed(lambda: page(path, number, into)))
            time.sleep(0.01)
        errors.append(time.monotonic() - begun)
        assert waiting.wait(1) == 2, waiting.text()

        again = mount.host.start(["ls", mount.at(name[::-1])])
        time.sleep(0.5)
        assert again.running()
        begun = time.monotonic()
        again.signal(signal.SIGINT)
        again.popen.wait(10)
        breaks.append(time.monotonic() - begun)
    line("ls of a hash that nobody has: its error", errors, rounds, 20)
    line("ls MOUNT meanwhile", lists, len(lists), 0.05)
    line("4 KiB of another file meanwhile", reads, len(reads), 0.05)
    line("Ctrl-C of such an ls", breaks, rounds, 0.1)


def scenario_of(options):
    def scenario(lab):
        reader, router, far = hosts = lab.hosts("reader", "router", "far")
        lab.link(*hosts)
        dht_nodes.settle(lab, *hosts)
        first = dht_nodes.first_nodes(lab, router)
        torrent = make_torrent(write_blob(lab.path("held", "blob"), 16 << 20, 1))
        seed = start_seed(far, torrent)
        # Not as an option: it would be a peer of what nobody has, too.
        source = torrent.magnet([f"{far.ip4}:{PEER_PORT}"])
        mount = dht_nodes.mount_of(reader, False, [dht_nodes.at(router)],
                                   source)
        path = content_path(mount, torrent)
        assert_same(path, torrent.path)
        measure(mount, path, options.rounds)
        seed.stop()
        assert mount.stop() == 0
        first.stop()
    return scenario


if __name__ == "__main__":
    parser = argparse.ArgumentParser(
        prog="bench nobody", description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=3, metavar="N")
    parser.add_argument("--bin", help="directory of shoalfs "
                        "(default: SHOALFS_BIN)")
    options = parser.parse_args()
    if options.bin:
        os.environ["SHOALFS_BIN"] = options.bin
    run(scenario_of(options))

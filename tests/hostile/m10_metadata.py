"""Goal: a magnet link among fifty liars: each claims metadata of another size,
one of 2 GiB, and gives bytes of that length which are not it. The one honest
seed's metadata is there within ten seconds, and the file is read whole; what
was claimed costs no memory, and who lied is not asked again and again."""

import re
import time

from hostile import *
from lab import run
from shoal import Mount, assert_same
from swarm import start_seed

LIARS, SECONDS = 50, 10
OURS = 7    # what a liar calls ut_metadata


def hello(size):
    return message(EXTENDED, b"\0d1:md11:ut_metadatai%de"
                             b"e13:metadata_sizei%dee" % (OURS, size))


class Liar:
    def __init__(self, host, address, torrent, size):
        self.torrent, self.size, self.asked = torrent, size, 0
        self.address = Server(host, self._serve, address).name

    def _serve(self, line):
        if not greet(line, self.torrent, hello(self.size)):
            return
        theirs = b"\0"
        for kind, body in line.messages():
            if kind != EXTENDED:
                continue
            if body[0] == 0:
                found = re.search(rb"11:ut_metadatai(\d+)e", body)
                theirs = bytes([int(found[1])])
            elif body[0] == OURS:
                self.asked += 1
                piece = int(re.search(rb"5:piecei(\d+)e", body)[1])
                rest = min(BLOCK, self.size - piece * BLOCK)
                line.send(message(
                    EXTENDED, theirs + b"d8:msg_typei1e5:piecei%de10:"
                    b"total_sizei%dee" % (piece, self.size) + b"x" * rest))


def scenario(lab):
    victim, friend, rogue = link_hosts(lab)
    torrent = make_film(lab)
    sizes = [100 + 17 * BLOCK * at // 10 for at in range(LIARS - 1)] \
        + [2 ** 31]
    liars = [Liar(rogue, address, torrent, size) for address, size
             in zip(add_addresses(rogue, LIARS), sizes)]
    seed = start_seed(friend, torrent)
    began = time.monotonic()
    mount = Mount(victim, "-d", torrent.magnet(), options=[
        "wait=0", *(f"peer={liar.address}" for liar in liars),
        f"peer={seed.address}"])
    path = mount.wait_path(torrent.name, torrent.name, seconds=60 * SLOW)
    seconds = time.monotonic() - began
    asked = [liar.asked for liar in liars]
    print(f"metadata after {seconds:.1f} s; {sum(n > 0 for n in asked)} liars "
          f"were asked, {max(asked)} blocks of one at most")
    assert seconds < SECONDS * SLOW
    assert asked[-1] == 0   # 2 GiB is nobody's
    assert all(n <= 2 * (1 + size // BLOCK) for n, size in zip(asked, sizes))
    assert_same(path, torrent.path)
    with open(f"/proc/{mount.daemon()}/status") as status:
        used = 1024 * int(re.search(r"VmHWM:\s+(\d+)", status.read())[1])
    print(f"{used >> 20} MiB")
    assert used < RSS_CAP
    assert mount.stop() == 0
    seed.stop()


if __name__ == "__main__":
    run(scenario)

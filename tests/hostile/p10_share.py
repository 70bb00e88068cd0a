"""Goal: who withholds the end of every piece harms the readers of his own
torrent, and nobody else's. Two torrents with pieces of 16 MiB, the longest that
are whole in memory; the peers of one send all of each piece but its last block,
and eight readers of it want more than all memory for unverified bytes. The
reader of the other torrent goes on: what he needs is there before anything of
the first is given up for hanging."""

import threading
import time

from hostile import *
from lab import run
from swarm import make_torrent, write_blob

PIECE_BYTES, PIECES, READERS, PEERS = 16 << 20, 8, 8, 4
HUNG = 4.0      # RECLAIM_HUNG_MS: after so long what hangs gives its memory


def make_film_of(lab, name, seed):
    torrent = make_torrent(write_blob(lab.path("c", name),
                                      PIECES * PIECE_BYTES, seed),
                           piece=PIECE_BYTES)
    torrent.raw = bytes.fromhex(torrent.v1)
    with open(torrent.path, "rb") as content:
        torrent.content = content.read()
    return torrent


def read_piece(fd, torrent, index):
    """The longest time that one MiB took."""
    longest = 0
    for at in range(index * PIECE_BYTES, (index + 1) * PIECE_BYTES, 1 << 20):
        began = time.monotonic()
        assert os.pread(fd, 1 << 20, at) == torrent.content[at:at + (1 << 20)]
        longest = max(longest, time.monotonic() - began)
    return longest


def scenario(lab):
    hosts = link_hosts(lab)
    good, bad = (make_film_of(lab, name, seed)
                 for seed, name in enumerate(("good.bin", "bad.bin")))
    withheld, lock = set(), threading.Lock()

    def serve(line):
        if not greet(line, bad, message(HAVE_ALL), message(UNCHOKE)):
            return
        for kind, body in line.messages():
            if kind != REQUEST:
                continue
            piece, begin, size = struct.unpack(">III", body)
            at = piece * PIECE_BYTES + begin
            if begin == PIECE_BYTES - BLOCK:
                with lock:
                    withheld.add(piece)
            elif not line.send(message(PIECE, body[:8]
                                       + bad.content[at:at + size])):
                return

    servers = [Server(hosts[2], serve) for _ in range(PEERS)]
    victim = Victim(hosts, good, options=[
        "read_timeout=60", *(f"peer={server.name}" for server in servers)],
        more=[bad.file])
    alone = read_piece(fd := os.open(victim.path, os.O_RDONLY), good, 0)

    def wait_for(index):
        try:
            with open(content_path(victim.mount, bad), "rb",
                      buffering=0) as got:
                os.pread(got.fileno(), 4096, index * PIECE_BYTES)
        except OSError:
            pass    # nobody sends it: the read fails in the end
    readers = [threading.Thread(target=wait_for, args=(index,))
               for index in range(READERS)]
    for reader in readers:
        reader.start()
    until(lambda: len(withheld) > 1, 30, "pieces lack their last block")
    longest = [read_piece(fd, good, index) for index in range(1, PIECES)]
    os.close(fd)
    waiting = sum(reader.is_alive() for reader in readers)
    print(f"longest wait alone {alone:.2f} s, beside {waiting} readers that "
          f"wait {max(longest):.2f} s, {len(withheld)} pieces withheld")
    assert waiting == READERS, waiting
    assert max(longest) < HUNG, longest
    for server in servers:
        server.close()
    victim.survived(cap=320 << 20, is_readable=False)
    for reader in readers:
        reader.join(60 * SLOW)


if __name__ == "__main__":
    run(scenario)

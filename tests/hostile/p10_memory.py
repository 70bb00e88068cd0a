"""Goal: unfinished pieces cannot eat the machine. Of a torrent with pieces of
256 MiB four are read at once, from peers that send what they are asked for but
never the last block: memory stays below one such piece and the cap on
unverified bytes, the reads fail in time, and the mount goes on."""

import threading

from hostile import *
from lab import run
from swarm import make_torrent

PIECE_BYTES, PIECES, PEERS = 256 << 20, 4, 4
CAP = PIECE_BYTES + (160 << 20)


def scenario(lab):
    hosts = link_hosts(lab)
    path = lab.path("c", "huge.bin")
    os.makedirs(lab.path("c"))
    with open(path, "wb") as out:
        out.truncate(PIECE_BYTES * PIECES)
    torrent = make_torrent(path, piece=PIECE_BYTES)
    torrent.raw = bytes.fromhex(torrent.v1)
    zeros = bytes(BLOCK)

    def serve(line):
        greet(line, torrent, message(HAVE_ALL), message(UNCHOKE))
        for kind, body in line.messages():
            begin, = struct.unpack(">I", body[4:8]) if kind == REQUEST \
                else (PIECE_BYTES - BLOCK,)
            if begin < PIECE_BYTES - BLOCK \
                    and not line.send(message(PIECE, body[:8] + zeros)):
                return

    servers = [Server(hosts[2], serve) for _ in range(PEERS)]
    victim = Victim(hosts, torrent, seed=False, options=[
        "read_timeout=8", *(f"peer={server.name}" for server in servers)])
    failed = []

    def read(index):
        try:
            with open(victim.path, "rb", buffering=0) as got:
                os.pread(got.fileno(), 4096, index * PIECE_BYTES)
        except OSError as error:
            failed.append(error)
    readers = [threading.Thread(target=read, args=(index,))
               for index in range(PIECES)]
    for reader in readers:
        reader.start()
    for reader in readers:
        reader.join(50 * SLOW)
    assert len(failed) == PIECES, failed
    for server in servers:
        server.close()
    victim.survived(CAP, is_readable=False)


if __name__ == "__main__":
    run(scenario)

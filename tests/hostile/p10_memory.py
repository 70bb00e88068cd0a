"""Goal: unfinished pieces cannot eat the machine. Of three torrents with pieces
of 256 MiB several are read at once, from peers that send what they are asked for
but never the last block; memory stays below a fraction of one such piece, the
reads fail in time, and the mount goes on. Then one such piece is read whole,
and right, from honest peers, while the others' torrents still want theirs. All
of it in a memory cgroup of 200 MiB, page cache and all, where this may make
one."""

import hashlib
import shutil
import subprocess
import tempfile
import threading
import time

from hostile import *
from lab import run
from swarm import make_torrent

PIECE_BYTES, PIECES, TORRENTS, PEERS = 256 << 20, 2, 3, 4
CAP = 200 << 20     # all that the process and its page cache may have


def disk(lab):
    """A directory that is not memory itself, where there is one."""
    path = tempfile.mkdtemp(prefix="shoal-p10-", dir="/var/tmp")
    lab.defer(lambda: shutil.rmtree(path, ignore_errors=True))
    kind = subprocess.run(["stat", "-f", "-c", "%T", path], text=True,
                          capture_output=True, check=True).stdout.strip()
    return path, kind != "tmpfs"


def limit(lab, pid):
    """The process has CAP from now on, with the page cache it fills. False
    where there is no cgroup to be had, or a sanitizer needs more."""
    with open(f"/proc/{pid}/maps") as maps:
        if "libasan" in maps.read():
            return False
    for top, name in (("/sys/fs/cgroup", "memory.max"),
                      ("/sys/fs/cgroup/memory", "memory.limit_in_bytes")):
        group = f"{top}/shoal-p10-{os.getpid()}"
        try:
            os.mkdir(group)
        except OSError:
            continue
        lab.defer(lambda: remove(group))
        try:
            for leaf, value in ((name, CAP), ("cgroup.procs", pid)):
                # It is there, or this is no cgroup but a directory above some.
                with open(f"{group}/{leaf}", "r+") as out:
                    out.write(str(value))
            return True
        except OSError:
            remove(group)
    return False


def remove(group):
    for _ in range(100):    # it is busy until its last process is gone
        try:
            os.rmdir(group)
            return
        except FileNotFoundError:
            return
        except OSError:
            time.sleep(0.1)


def block_bytes(begin):
    """Blocks of an honest file: no two alike."""
    return struct.pack(">QQ", begin, ~begin & (1 << 64) - 1) * (BLOCK // 16)


def make_huge(lab, name, fill):
    path = lab.path("c", name)
    with open(path, "wb") as out:
        if fill:
            for begin in range(0, PIECE_BYTES, BLOCK):
                out.write(block_bytes(begin))
        else:
            out.truncate(PIECE_BYTES * PIECES)
    torrent = make_torrent(path, piece=PIECE_BYTES)
    torrent.raw = bytes.fromhex(torrent.v1)
    return torrent


def serve_requests(line, answer):
    for kind, body in line.messages():
        if kind == REQUEST:
            begin, size = struct.unpack(">II", body[4:12])
            data = answer(begin)
            if data and not line.send(message(PIECE, body[:8] + data[:size])):
                return


def scenario(lab):
    hosts = link_hosts(lab)
    os.makedirs(lab.path("c"))
    bad = [make_huge(lab, f"huge{index}.bin", False)
           for index in range(TORRENTS)]
    good = make_huge(lab, "honest.bin", True)
    zeros = bytes(BLOCK)
    by_hash = {torrent.raw: torrent for torrent in [*bad, good]}

    def serve(line):
        """All of whatever torrent it is but for the bad ones' last block."""
        hello = line.take(68)
        torrent = by_hash.get(hello[28:48])
        if not torrent or not line.send(handshake(torrent.raw)
                                        + message(HAVE_ALL)
                                        + message(UNCHOKE)):
            return
        if torrent is good:
            serve_requests(line, block_bytes)
        else:
            serve_requests(line, lambda begin: zeros if begin
                           < PIECE_BYTES - BLOCK else None)

    servers = [Server(hosts[2], serve) for _ in range(PEERS)]
    store, is_disk = disk(lab)
    victim = Victim(hosts, bad[0], seed=False, options=[
        "read_timeout=10", f"store={store}",
        *(f"peer={server.name}" for server in servers)],
        more=[torrent.file for torrent in [*bad[1:], good]])
    print("in a cgroup" if is_disk and
          limit(lab, victim.mount.daemon()) else "in no cgroup")
    paths = [content_path(victim.mount, torrent) for torrent in bad]
    failed = []

    def read(path, index):
        try:
            with open(path, "rb", buffering=0) as got:
                os.pread(got.fileno(), 4096, index * PIECE_BYTES)
        except OSError as error:
            failed.append(error)
    readers = [threading.Thread(target=read, args=(path, index))
               for path in paths for index in range(PIECES)]
    for reader in readers:
        reader.start()

    digest, want = hashlib.sha1(), hashlib.sha1()
    with open(content_path(victim.mount, good), "rb", buffering=0) as got, \
            open(good.path, "rb") as honest:
        for begin in range(0, PIECE_BYTES, 1 << 20):
            os.posix_fadvise(got.fileno(), begin, 1 << 20,
                             os.POSIX_FADV_RANDOM)
            digest.update(got.read(1 << 20))
            want.update(honest.read(1 << 20))
    assert digest.digest() == want.digest()

    for reader in readers:
        reader.join(60 * SLOW)
    assert len(failed) == len(readers), failed
    for server in servers:
        server.close()
    victim.survived(is_readable=False)


if __name__ == "__main__":
    run(scenario)

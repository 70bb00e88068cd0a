"""Goal: what is pinned comes whole, though nobody reads it, and nothing else
does; unpinning stops it; readers beside it get their bytes; pins are there
after a restart. shoalctl finds the mount by a path in it, and `why`, `peers`,
`ls` and `limit` say what is so, each as JSON too."""

import json
import os
import socket

from lab import run, until
from shoal import Mount, assert_same, content_path, program
from swarm import PEER_PORT, make_torrent, start_seed, write_blob

PIECE = 64 * 1024
SIZES = {"film.bin": 80 * PIECE + 5, "sub/a.bin": 10 * PIECE + 100,
         "sub/b.bin": 5 * PIECE, "rest.bin": 20 * PIECE}


def scenario(lab):
    reader, seed = lab.hosts("reader", "seed")
    lab.link(reader, seed)
    for number, (name, size) in enumerate(SIZES.items()):
        write_blob(lab.path("c", "pack", name), size, 23 + number)
    torrent = make_torrent(lab.path("c", "pack"), piece=PIECE)

    def start(*options):
        mount = Mount(reader, torrent.file, options=[
            f"peer={seed.ip4}:{PEER_PORT}", "port=7000", *options])
        content_path(mount, torrent)
        return mount

    def ctl(*words, code=0):
        done = reader.run([program("shoalctl"), *words])
        assert done.returncode == code, done
        return done.stdout if code == 0 else done.stderr

    def told(*words):
        return json.loads(ctl(*words, "--json"))

    def held(name):
        return mount.held(torrent.name, *name.split("/"))

    def whole(*names):
        return all(held(name) == SIZES[name] for name in names)
    mount = start()
    film, sub = mount.at(torrent.name, "film.bin"), mount.at(torrent.name, "sub")

    # Nobody to ask yet, and nothing asked for.
    assert told("ls")["torrents"][0]["held_bytes"] == 0
    assert "not pinned" in ctl("why", film)
    assert "0 B of" in ctl("pin", film)
    assert os.getxattr(film, "user.shoalfs.pin") == b"1"
    until(lambda: "peers" in ctl("why", film), 10, "nobody is there")

    source = start_seed(seed, torrent, "--no-tracker", "--up-limit", 2 << 20)
    until(lambda: held("film.bin") > 0, 20, "the pinned file comes")
    ctl("unpin", film)
    assert not any(name.endswith("pin") for name in os.listxattr(film))
    # A reader beside it, of what nobody pinned.
    ctl("pin", sub)
    assert_same(mount.at(torrent.name, "rest.bin"),
                os.path.join(torrent.path, "rest.bin"))
    until(lambda: whole("sub/a.bin", "sub/b.bin", "rest.bin"), 30, "sub")
    assert_same(sub, os.path.join(torrent.path, "sub"))
    assert held("film.bin") < SIZES["film.bin"], "unpinning did not stop it"
    assert "all of it is held" in ctl("why", f"{sub}/a.bin")

    peers = told("peers", torrent.name)["peers"]
    assert [p["addr"] for p in peers] == [f"{seed.ip4}:{PEER_PORT}"], peers
    assert f"{seed.ip4}:" in ctl("peers", film)
    assert torrent.name in ctl("ls")
    assert told("limit") == {"down_Bps": None, "up_Bps": None}
    assert "up 64.0 KiB/s" in ctl("limit", "up", "64K")
    assert told("limit", "up", "none")["up_Bps"] is None
    assert json.loads(ctl("status", "--json"))["torrents"][0]["pinned_files"] == 2

    # What a person gets wrong.
    assert "nothing" in ctl("pin", mount.at(torrent.name, "nothing"), code=1)
    assert "not in a shoalfs mount" in ctl("pin", "/etc/hosts", code=1)
    assert "RATE" in ctl("limit", "up", code=2)
    assert "no rate" in ctl("limit", "up", "fast", code=1)
    assert "PATH" in ctl("pin", code=2)
    assert "unknown verb" in ctl("fly", code=2)

    # The socket is its owner's; what is left of a killed mount is replaced,
    # and what was pinned and is missing comes after a restart.
    path = os.getxattr(mount.path, "user.shoalfs.control").decode()
    assert os.stat(path).st_mode & 0o777 == 0o600
    ctl("pin", film)
    until(lambda: mount.status()["torrents"][0]["pinned_files"] == 3, 5, "pin")
    source.stop()
    assert mount.stop() == 0 and not os.path.exists(path)
    mount = start()
    mount.kill()
    assert os.path.exists(path)
    start_seed(seed, torrent, "--no-tracker")
    mount = start()
    until(lambda: whole("film.bin"), 30, "pinned before the restart")
    assert_same(mount.at(torrent.name), torrent.path)
    with socket.socket(socket.AF_UNIX) as line:
        line.connect(path)
    assert mount.stop() == 0


if __name__ == "__main__":
    run(scenario)

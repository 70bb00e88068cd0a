"""Goal: shoalctl tells a wrong command line (2) from what failed (1), each with
one line that names the mistake; -h behind a verb helps; what is not in the mount
is said to be not there, and not that it is in no mount; an answer that cannot
be written is no success."""

import os
import subprocess

from lab import run
from shoal import Mount, program
from swarm import make_torrent, write_blob, write_tree

VERBS = ("status", "top", "ls", "why", "peers", "rm", "pin", "unpin",
         "verify", "limit", "add", "publish", "create")


def cases(mount):
    """(words, exit code, what the line must have)"""
    for verb in VERBS:
        yield [verb, "--nosuch"], 2, "--nosuch"
        yield [verb, "-x"], 2, "-x"
    for verb in "why", "pin", "unpin", "verify":
        yield [verb, mount.at("tree", "nosuch")], 1, "tree/nosuch: not found"
        yield [verb, mount.at("nosuch")], 1, "nosuch: not found"
        yield [verb, "/etc/passwd"], 1, "not in a shoalfs mount"
        yield [verb, ""], 1, "empty"
    yield ["rm", mount.at("nosuch")], 1, "no torrent nosuch"
    yield ["why", "--", "-x"], 1, "-x: not found"
    yield ["add", "--", "-x"], 1, "-x: not found"
    yield ["add", "--data"], 2, "--data needs a DIR"


def helps(host, mount):
    for verb in VERBS:
        for word in "-h", "--help":
            done = host.run([program("shoalctl"), verb, word])
            assert done.returncode == 0 and "usage: shoalctl" in done.stdout, done
            assert verb in done.stdout and not done.stderr, done
    # Of a word that is meant, none.
    done = host.run([program("shoalctl"), "-m", mount.path, "why", "--", "-h"])
    assert done.returncode == 1, done


def must_write(host, mount):
    """A line, and hundreds of them."""
    for verb in "status", "top", "ls", "limit":
        for words in [verb], [verb, "--json"]:
            with open("/dev/full", "w") as full:
                done = subprocess.run(
                    [program("shoalctl"), "-m", mount.path, *words],
                    stdout=full, stderr=subprocess.PIPE, text=True,
                    timeout=30)
            assert done.returncode == 1, (words, done)
            assert "could be written" in done.stderr, (words, done)


def scenario(lab):
    host, = lab.hosts("host")
    tree = make_torrent(write_tree(lab.path("c", "tree"), 48))
    torrents = [tree.file]
    for number in range(60):
        path = write_blob(lab.path("c", f"film {number}"), 100, number)
        torrents.append(make_torrent(path).file)
    mount = Mount(host, *torrents)
    wrong = []
    for words, code, text in cases(mount):
        done = host.run([program("shoalctl"), "-m", mount.path, *words]
                        if words[0] != "create"
                        else [program("shoalctl"), *words])
        if (done.returncode != code or text not in done.stderr or done.stdout
                or len(done.stderr.splitlines()) != 1):
            wrong.append((words, code, text, done))
    for row in wrong:
        print(*row, sep="\n    ")
    assert not wrong
    helps(host, mount)
    must_write(host, mount)
    assert os.path.isdir(mount.at("tree"))
    assert mount.stop() == 0


if __name__ == "__main__":
    run(scenario)

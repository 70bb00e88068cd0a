"""Goal: somebody who is not root mounts, reads and unmounts, through fusermount3, and
nobody else gets in, root included, nor unmounts it; nosuid and nodev are there.
allow_other is refused until /etc/fuse.conf has user_allow_other; then others get
in as far as umask, uid and gid say."""

import os
import stat
import subprocess

from lab import Skip, need, run, until
from shoal import program
from swarm import digest, make_torrent, start_seed, write_blob

USER, OTHER = 65534, 1


def as_user(uid, *words):
    return [need("setpriv"), f"--reuid={uid}", f"--regid={uid}",
            "--clear-groups", *words]


def bind(source, target):
    subprocess.run(["mount", "--bind", source, target], check=True)


def open_the_device(lab):
    """/dev/fuse is everybody's on Linux; here it may be root's alone."""
    if os.stat("/dev/fuse").st_mode & 0o066 == 0o066:
        return
    node = lab.path("fuse")
    os.mknod(node, stat.S_IFCHR, os.stat("/dev/fuse").st_rdev)
    os.chmod(node, 0o666)
    bind(node, "/dev/fuse")
    lab.defer(subprocess.run, ["umount", "-l", "/dev/fuse"])


def allow_others(lab):
    with open(lab.path("fuse.conf"), "w") as conf:
        conf.write("user_allow_other\n")
    bind(lab.path("fuse.conf"), "/etc/fuse.conf")
    lab.defer(subprocess.run, ["umount", "-l", "/etc/fuse.conf"])


def fields(path):
    with open("/proc/self/mountinfo") as table:
        for line in table:
            words = line.split()
            if words[4] == path:
                return words[5].split(","), words[-1].split(",")
    raise AssertionError(f"{path} is not mounted")


class UserMount:
    """A shoalfs of USER's, in front."""

    def __init__(self, host, torrent, name, *options):
        self.host, self.path = host, host.lab.fresh_dir(name)
        store = host.lab.fresh_dir(name + "-store")
        for folder in (self.path, store):
            os.chown(folder, USER, USER)
        os.chmod(store, 0o700)
        self.file = os.path.join(self.path, torrent.name, torrent.name)
        words = ",".join([f"store={store}", "nodht", *options])
        self.proc = host.start(as_user(USER, program(), "-f", "-o", words,
                                       torrent.file, self.path), name)

    def wait(self, uid=USER):
        def is_there():
            if not self.proc.running():
                raise OSError(f"shoalfs ended: {self.proc.text()}")
            return self.run(uid, "test", "-e", self.file) == 0
        until(is_there, 30, "mounted")

    def run(self, uid, *words):
        return self.host.run(as_user(uid, *words)).returncode

    def gone(self):
        assert self.proc.wait(20) == 0
        assert not self.host.lab.mounted(self.path)


def alone(lab, host, torrent, peer):
    mount = UserMount(host, torrent, "alone", peer)
    mount.wait()
    flags, options = fields(mount.path)
    assert {"nosuid", "nodev"} <= set(flags), flags
    assert f"user_id={USER}" in options, options
    assert "allow_other" not in options, options
    done = host.run(as_user(USER, "sha256sum", mount.file))
    assert done.stdout.split()[0] == digest(torrent.path), done
    for uid in (OTHER, 0):
        assert mount.run(uid, "cat", mount.file) != 0
        assert mount.run(uid, "ls", mount.path) != 0
    assert mount.run(OTHER, "fusermount3", "-u", mount.path) != 0
    assert lab.mounted(mount.path)
    assert mount.run(USER, "fusermount3", "-u", mount.path) == 0
    mount.gone()
    # A signal does it as well: it is the holder that detaches it.
    mount = UserMount(host, torrent, "signalled", peer)
    mount.wait()
    assert mount.proc.stop() == 0
    mount.gone()


def with_others(host, torrent, peer):
    mount = UserMount(host, torrent, "shared", peer, "allow_other",
                      "umask=027", "uid=1234", f"gid={OTHER}")
    mount.wait(OTHER)
    assert "allow_other" in fields(mount.path)[1]
    done = host.run(as_user(OTHER, "stat", "-c", "%u %g %a", mount.file))
    assert done.stdout.split() == ["1234", str(OTHER), "440"], done
    assert mount.run(OTHER, "cmp", mount.file, torrent.path) == 0
    assert mount.run(2, "cat", mount.file) != 0     # neither owner nor group
    assert mount.run(0, "cmp", mount.file, torrent.path) == 0
    assert mount.run(USER, "fusermount3", "-u", mount.path) == 0
    mount.gone()


def scenario(lab):
    need("fusermount3")
    host, seed = lab.hosts("host", "seed")
    lab.link(host, seed)
    if host.run(as_user(USER, "test", "-x", program())).returncode:
        raise Skip("the programs lie where only root gets to")
    torrent = make_torrent(write_blob(lab.path("c", "film.bin"), 300_000, 41))
    source = start_seed(seed, torrent)
    peer = f"peer={source.address}"
    open_the_device(lab)
    alone(lab, host, torrent, peer)

    refused = UserMount(host, torrent, "refused", peer, "allow_other")
    assert refused.proc.wait(20) == 32
    assert not lab.mounted(refused.path)
    allow_others(lab)
    with_others(host, torrent, peer)
    source.stop()


if __name__ == "__main__":
    run(scenario)

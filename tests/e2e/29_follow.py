"""Goal: keys that are followed (BEP 46). `shoalctl add` takes one by its name or
its magnet link: what it names comes into the mount by itself, and so does what
it comes to name; both outlive a SIGKILL, also of a key that nobody has yet. A
torrent that was removed does not come back. `rm` of the link, and `shoalctl rm`,
end it, for good; what it brought stays. Of two who publish with one key at the
same time at most one is told that he did, and then all nodes agree."""

import json
import os
import time

import krpc
from dht_nodes import NODES, Item, Swarm, at, first_nodes, mount_of, settle
from lab import need, run, until
from shoal import assert_same, program

RACES = 4


def ctl(mount, *words):
    return mount.host.run([program("shoalctl"), "-m", mount.path, *words], 60)


def told(mount, *words):
    done = ctl(mount, *words)
    assert done.returncode == 0, done.stderr
    return done.stdout


def shown(swarm):
    """Its name in the root: by its hash any torrent would be looked for."""
    return os.path.basename(swarm.torrent.path)


def keys(mount):
    with open(mount.at(".shoalfs/dht/status.json")) as status:
        return {key["link"]: key for key in json.load(status)["keys"]}


def follows(mount, item, nobodys, first):
    """Both ways of saying it; once more is no mistake."""
    assert told(mount, "add", item.link) == f"added {item.link}\n"
    assert told(mount, "add", item.magnet) == f"there already: {item.link}\n"
    assert told(mount, "add", nobodys.magnet) == f"added {nobodys.link}\n"
    mount.wait_path(shown(first), seconds=40)
    assert_same(mount.at(item.link), first.torrent.path)
    assert keys(mount)[item.link]["followed"]


def outlives(mount, item, nobodys, first, second):
    """One that was removed stays away; what is new comes."""
    told(mount, "rm", shown(first))
    mount.kill()
    mount.clear()
    again = mount_of(mount.host, False, [mount.boot])
    again.boot = mount.boot
    # It is there, of the last run, and led to by nobody's use.
    until(lambda: len(keys(again)) == 2, 10, "the keys are known")
    assert all(key["followed"] for key in keys(again).values())
    until(lambda: keys(again)[item.link]["looked_s"] is not None, 90,
          "it is looked at")
    assert shown(first) not in os.listdir(again.path)

    assert item.put(4, second.name) == [None] * NODES
    assert nobodys.put(1, first.name) == [None] * NODES
    again.wait_path(shown(first), seconds=60)

    def moved():
        return os.readlink(again.at(item.link)) == second.name
    until(moved, 100, "it leads on")
    again.wait_path(shown(second), seconds=40)
    assert_same(again.at(shown(second)), second.torrent.path)
    return again


def ends(mount, item, nobodys, first, second):
    os.unlink(mount.at(item.link))
    # By its path: the link is meant, and not what it leads to.
    assert told(mount, "rm", mount.at(nobodys.link)) == \
        f"removed {nobodys.link}\n"
    assert keys(mount) == {}
    assert ctl(mount, "rm", nobodys.link).returncode == 1
    mount.kill()
    mount.clear()
    again = mount_of(mount.host, False, [mount.boot])
    time.sleep(1)
    assert keys(again) == {}
    for swarm in (first, second):
        assert_same(again.at(shown(swarm)), swarm.torrent.path)
    # Named again it is a stranger's, who is looked for and not followed.
    assert os.readlink(again.at(item.link)) == second.name
    assert not keys(again)[item.link]["followed"]
    again.boot = mount.boot
    return again


def both_publish(mounts, key, names):
    """(exit code, what it says) of each."""
    both = [mount.host.start([program("shoalctl"), "-m", mount.path, "publish",
                              "--key", key.path, name])
            for mount, name in zip(mounts, names)]
    return [(proc.wait(90), proc.text()) for proc in both]


def races(mounts, holder, key, names):
    item = Item(key, holder, holder)
    n_won = 0
    for number in range(RACES):
        ends_of = both_publish(mounts, key, names[::-1 if number % 2 else 1])
        won = [names[::-1 if number % 2 else 1][i]
               for i in range(2) if ends_of[i][0] == 0]
        for code, text in ends_of:
            assert code == 0 or "published meanwhile" in text or \
                "or a later one" in text, (code, text)
        newest = max(item.stored())[0]
        values = {name for seq, name in item.stored() if seq == newest}
        print(f"race {number}: {len(won)} won; seq {newest} is {values}")
        if won:
            assert len(values) == 1 and values <= set(won), (won, values)
        n_won += len(won)
    assert n_won > 0


def scenario(lab):
    need("openssl")
    hosts = lab.hosts("reader", "router", "far", "other")
    lab.link(*hosts)
    settle(lab, *hosts)
    reader, router, far, other = hosts
    nodes = first_nodes(lab, router)
    boot = at(router)
    first, second = (Swarm(lab, 27 + n, "v1", far, n, f"tree{n}")
                     for n in range(2))
    seeds = [swarm.seed(False, boot) for swarm in (first, second)]
    item = Item(krpc.Key(lab.path("key.pem")), far, router, b"\x00\xff")
    nobodys = Item(krpc.Key(lab.path("nobody.pem")), far, router)
    assert item.put(3, first.name) == [None] * NODES

    mount = mount_of(reader, False, [boot])
    mount.boot = boot
    follows(mount, item, nobodys, first)
    mount = outlives(mount, item, nobodys, first, second)
    mount = ends(mount, item, nobodys, first, second)

    rival = mount_of(other, False, [boot])
    for each in (mount, rival):
        until(lambda: json.load(open(each.at(
            ".shoalfs/dht/status.json")))["ipv4"]["good"] >= 8, 40, "nodes")
    races((mount, rival), router, krpc.Key(lab.path("race.pem")),
          (first.name, second.name))
    assert mount.stop() == 0
    assert rival.stop() == 0
    for peer in (*seeds, nodes):
        peer.stop()


if __name__ == "__main__":
    run(scenario)

"""Goal: a torrent's web seeds reach no service of this machine or of its
network by a query of the torrent's own, whatever spelling, name or redirect
leads there; and from the world none leads there at all. What is allowed is
asked: a plain file there, a script there with nothing but our own fields, and
a query out in the world."""

import threading

from hostile import *
from lab import run
from swarm import PEER_PORT

LAN, FAR = "10.9.8.7", "1.2.3.4"


def scenario(lab):
    hosts = link_hosts(lab)
    for address in (LAN, FAR):
        lab.ip("-n", hosts[2].name, "addr", "add", address + "/32",
               "dev", "net0")
    Names(hosts[2], {"both.test": [[FAR, "127.0.0.1"]]})

    def inner(request):
        if "/lead" in request:
            return http_answer(status="302 Found", Location="/film.bin?do=it")
        return http_answer(status="404 Not Found")
    inside = Web(hosts[0], inner, "127.0.0.1")
    lan = Web(hosts[2], inner, LAN)

    def lead(request):
        target = {"/in": f"http://127.0.0.1:{inside.port}/film.bin",
                  "/lan": f"http://{LAN}:{lan.port}/film.bin",
                  "/file": "file:///etc/passwd"}.get(request.split()[1])
        return http_answer(status="302 Found", Location=target) if target \
            else http_answer(status="404 Not Found")
    outside = Web(hosts[2], lead)
    bad = [f"http://{host}:{inside.port}/film.bin?do=it" for host in (
        "127.0.0.1", "2130706433", "0x7f.1", "localhost",
        "[::ffff:127.0.0.1]", "both.test", "0.0.0.0")]
    bad += [f"http://{LAN}:{lan.port}/film.bin?do=it",
            "http://169.254.169.254/latest",
            f"http://127.0.0.1:{inside.port}/lead"]
    bad += [f"http://{hosts[2].ip4}:{outside.port}/{where}"
            for where in ("in", "lan", "file")]
    good = [f"http://127.0.0.1:{inside.port}/film.bin",
            f"http://{hosts[2].ip4}:{outside.port}/film.bin?do=it"]
    scripts = [f"http://127.0.0.1:{inside.port}/seed"]
    torrent = make_film(lab, web_seeds=[*bad, *good], http_seeds=scripts)
    victim = Victim(hosts, torrent, seed=False,
                    options=[f"peer={hosts[1].ip4}:{PEER_PORT}"])
    reader = threading.Thread(target=victim.read, daemon=True)
    reader.start()

    def all_failed():
        views = victim.webs()
        return views if all(": " in view["client"] for view in views) else None
    views = until(all_failed, 20, "each of them failed")
    whys = [view["client"].removeprefix("web seed: ") for view in views]
    assert len(whys) == len(bad) + len(good) + len(scripts), whys
    for url, why in zip(bad, whys):
        assert "404" not in why, (url, why)
    for url, why in zip([*good, *scripts], whys[len(bad):]):
        assert "404" in why, (url, why)
    seed = start_seed(hosts[1], torrent)
    reader.join(30)
    assert not reader.is_alive()
    victim.survived()
    asked = {request.split("?")[0] for request in inside.heard}
    assert asked == {"GET /film.bin HTTP/1.1", "GET /lead HTTP/1.1",
                     "GET /seed"}, inside.heard
    assert not lan.heard, lan.heard
    seed.stop()


if __name__ == "__main__":
    run(scenario)

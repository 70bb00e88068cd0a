#!/usr/bin/python3
"""Our DHT nodes among libtorrent's, on loopback in a network namespace of the
test's own: each finds what the other announced, items of BEP 44 go both ways,
and libtorrent takes a sample of ours (BEP 51)."""

import ctypes
import hashlib
import json
import os
import subprocess
import sys
import time

SKIP = 77
LIMIT_S = 20
CLONE_NEWNET = 0x40000000
HASH_LT, HASH_OURS = "11" * 20, "22" * 20
SEED = "ab" * 32


def skip(why):
    print("skipped:", why)
    sys.exit(SKIP)


try:
    import libtorrent as lt
except ImportError:
    skip("no python3-libtorrent")


class Ours:
    """A node of ours, in a process."""

    def __init__(self, address):
        program = os.path.join(os.environ["SHOAL_LAB_BIN"], "dht_udp")
        self.address = address
        self.proc = subprocess.Popen([program, address, "--unlimited"],
                                     stdin=subprocess.PIPE,
                                     stdout=subprocess.PIPE, text=True)

    def tell(self, *words):
        self.proc.stdin.write(" ".join(map(str, words)) + "\n")
        self.proc.stdin.flush()

    def ask(self, *words):
        self.tell(*words)
        line = self.proc.stdout.readline()
        assert line, f"{self.address} has ended"
        return json.loads(line)

    def stop(self):
        self.tell("quit")
        assert self.proc.wait(5) == 0


def session(address):
    return lt.session({
        "listen_interfaces": address, "enable_dht": True,
        "enable_lsd": False, "enable_upnp": False, "enable_natpmp": False,
        "dht_bootstrap_nodes": "", "dht_restrict_routing_ips": False,
        "dht_restrict_search_ips": False, "dht_enforce_node_id": False,
        "dht_ignore_dark_internet": False, "dht_block_ratelimit": 1000000,
        "dht_upload_rate_limit": 1000000,
        "alert_mask": lt.alert.category_t.all_categories,
    })


def wait_alert(ses, kind, wanted, do):
    """What `wanted` makes of an alert of this kind, when it is something."""
    end = time.monotonic() + LIMIT_S
    again = 0
    while time.monotonic() < end:
        if time.monotonic() > again:
            do()
            again = time.monotonic() + 3
        ses.wait_for_alert(100)
        for alert in ses.pop_alerts():
            if isinstance(alert, kind):
                found = wanted(alert)
                if found:
                    return found
    raise AssertionError(f"no {kind.__name__} in {LIMIT_S} s")


def until(what, is_true):
    end = time.monotonic() + LIMIT_S
    while not is_true():
        assert time.monotonic() < end, f"{what}: not in {LIMIT_S} s"
        time.sleep(0.1)


def sha1(text):
    return lt.sha1_hash(bytes.fromhex(text))


def peers_both_ways(theirs, ours):
    # The bindings cannot give dht_announce its flags; a magnet announces.
    magnet = lt.parse_magnet_uri("magnet:?xt=urn:btih:" + HASH_LT)
    magnet.save_path = "/nonexistent"
    theirs[2].add_torrent(magnet)

    def is_found():
        found = ours[1].ask("find", HASH_LT)["peers"]
        return any(p == "127.0.1.3:6881" for p in found)
    until("ours finds what libtorrent announced", is_found)

    stored = ours[0].ask("announce", HASH_OURS, 2222)["stored"]
    assert stored >= 4, stored
    wait_alert(
        theirs[3], lt.dht_get_peers_reply_alert,
        lambda a: any(p[1] == 2222 for p in a.peers()),
        lambda: theirs[3].dht_get_peers(sha1(HASH_OURS)))
    print("peers: both ways; ours was stored by", stored)


def samples_of_ours(theirs, ours):
    """BEP 51, whose other side is e2e's: libtorrent asks ours what it
    stores. An announce goes to the eight closest of nine others; of several
    some come to the one that is asked."""
    hashes = [f"{i}7" * 20 for i in range(6)]
    for text in hashes:
        ours[1].ask("announce", text, 2222)
    address = ours[0].address.split(":")[0], 6881
    found = wait_alert(
        theirs[1], lt.dht_sample_infohashes_alert,
        lambda a: (a.num_infohashes, list(a.samples), a.num_nodes)
        if a.endpoint == address else None,
        lambda: theirs[1].dht_sample_infohashes(address, sha1(HASH_LT)))
    assert found[0] > 0 and found[2] > 0, found
    assert any(sha1(text) in found[1] for text in hashes), found
    print("samples: libtorrent has ours", found[0])


def immutable_both_ways(theirs, ours):
    target = theirs[1].dht_put_immutable_item("from libtorrent")
    text = str(target)
    until("ours gets libtorrent's item", lambda: ours[1].ask(
        "get", text)["value"] == "15:from libtorrent")
    put = ours[0].ask("put", "9:from-ours")
    assert put["stored"] >= 4, put
    value = wait_alert(
        theirs[4], lt.dht_immutable_item_alert,
        lambda a: a.item["value"] if a.target == sha1(put["target"]) else None,
        lambda: theirs[4].dht_get_immutable_item(sha1(put["target"])))
    assert value == b"from-ours", value
    print("immutable items: both ways")


def expanded(seed):
    """The private key as libtorrent wants it: what Ed25519 makes of a seed."""
    key = bytearray(hashlib.sha512(bytes.fromhex(seed)).digest())
    key[0] &= 248
    key[31] = key[31] & 63 | 64
    return bytes(key)


def mutable_both_ways(theirs, ours, salt):
    """One item, by turns: ours puts it, libtorrent's reads it and puts the
    next one in its place, ours reads that and puts another."""
    word, name = salt.encode(), salt or "-"
    put = ours[0].ask("sign", SEED, name, 7, "8:mutable!")
    assert put["stored"] >= 4, put
    key = bytes.fromhex(put["key"])

    def theirs_reads(number, value, seq):
        got = wait_alert(
            theirs[number], lt.dht_mutable_item_alert,
            lambda a: a.item["value"] if a.seq == seq and a.salt == salt
            else None,
            lambda: theirs[number].dht_get_mutable_item(key, word))
        assert got == value, got

    def ours_reads(value, seq):
        found = {}

        def is_there():
            found.update(ours[1].ask("follow", put["key"], name))
            return found["value"] == value and found["seq"] == seq
        until(f"ours reads {value}: {found}", is_there)

    theirs_reads(2, b"mutable!", 7)
    ours_reads("8:mutable!", 7)
    theirs[3].dht_put_mutable_item(expanded(SEED), key, b"from libtorrent",
                                   word)
    ours_reads("15:from libtorrent", 8)
    theirs_reads(4, b"from libtorrent", 8)
    ours[0].ask("sign", SEED, name, 9, "5:newer")
    ours_reads("5:newer", 9)
    theirs_reads(5, b"newer", 9)
    print("mutable items: both ways, salt", name)


def main():
    if os.geteuid() != 0 or ctypes.CDLL(None).unshare(CLONE_NEWNET) != 0:
        skip("no right to make a network namespace")
    subprocess.run(["ip", "link", "set", "lo", "up"], check=True)
    theirs = [session(f"127.0.1.{i + 1}:6881") for i in range(8)]
    ours = [Ours(f"127.0.2.{i + 1}:6881") for i in range(2)]
    for ses in theirs[1:]:
        ses.add_dht_node(("127.0.1.1", 6881))
    ours[0].tell("node", "127.0.1.1:6881")
    ours[1].tell("node", "127.0.2.1:6881")
    until("ours know the others", lambda: all(
        node.ask("status")["good"] >= 6 for node in ours))
    print("contacts:", [node.ask("status") for node in ours])
    peers_both_ways(theirs, ours)
    samples_of_ours(theirs, ours)
    immutable_both_ways(theirs, ours)
    mutable_both_ways(theirs, ours, "pepper")
    mutable_both_ways(theirs, ours, "")
    print("served:", [node.ask("status") for node in ours])
    for node in ours:
        node.stop()


main()

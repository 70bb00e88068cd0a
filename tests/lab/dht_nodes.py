"""A DHT of libtorrent's nodes in the laboratory, on addresses of networks of
their own, since nodes trust a /24 but little; who seeds and who wants something
in it without a tracker; items of keys (BEP 44, 46) at its nodes."""

import hashlib

import krpc
from lab import until
from shoal import Mount
from swarm import PEER_PORT, LtPeer, make_torrent, write_tree

NODES = 12
MOUNT_PORT = 7010


def settle(lab, *hosts):
    """Addresses for each, of both families."""
    for host in hosts:
        host.nets4 = [f"198.18.{host.index + 16 * at}.1"
                      for at in range(NODES)]
        host.nets6 = [f"2001:{host.index + 16 * at:x}::1"
                      for at in range(NODES)]
        lines = lab.path(f"{host.name}.addresses")
        with open(lines, "w") as out:
            out.writelines(
                f"addr add {address}/{16 if ':' in address else 15} "
                "dev net0 nodad\n" for address in host.nets4 + host.nets6)
        lab.ip("-n", host.name, "-batch", lines)


def at(host, ipv6=False, number=0, port=PEER_PORT):
    return f"[{host.nets6[number]}]:{port}" if ipv6 \
        else f"{host.nets4[number]}:{port}"


def libtorrent_node(host, torrent, folder, nodes, listen, *options, **others):
    words = [word for node in nodes for word in ("--dht", node)]
    return LtPeer(host, "--torrent", torrent.file, "--save", folder,
                  "--listen", listen, "--plain", "--no-tracker", *options,
                  *words, **others)


def first_nodes(lab, host, ipv6=False):
    """As many nodes as clients want to know before they believe that they are
    in a network at all: one of libtorrent's for each address."""
    torrent = make_torrent(write_tree(lab.path(f"first{ipv6:d}", "tree"), 7))
    every = [at(host, ipv6, number) for number in range(NODES)]
    peer = libtorrent_node(host, torrent, torrent.parent, every,
                           ",".join(every), "--seed")
    until(lambda: peer.ask("dht") >= NODES * 8, 40, "nodes know each other")
    return peer


class Swarm:
    """A torrent, on one of the addresses of `far`: who seeds it, who wants
    it."""

    def __init__(self, lab, seed, kind, far, number, name="tree"):
        self.torrent = make_torrent(write_tree(
            lab.path(f"content{seed}", name), seed), kind)
        self.name = self.torrent.v1 or self.torrent.v2
        self.lab, self.far, self.number = lab, far, number

    def seed(self, ipv6, boot):
        peer = libtorrent_node(self.far, self.torrent, self.torrent.parent,
                               [boot], at(self.far, ipv6, self.number),
                               "--seed")
        peer.wait("complete", 10)
        until(lambda: peer.ask("announces") >= 8, 30, "the seed announces")
        return peer

    def leech(self, ipv6, boot):
        """From an address where nobody ever said that he had anything."""
        return libtorrent_node(self.far, self.torrent,
                               self.lab.fresh_dir("leech"), [boot],
                               at(self.far, ipv6, NODES // 2 + self.number))


def mount_of(host, ipv6, nodes, *sources, options=(), number=0, **others):
    nets = host.nets6 if ipv6 else host.nets4
    return Mount(host, *sources, options=[
        f"port={MOUNT_PORT}", f"bind={nets[number]}", *options], dht=nodes,
        **others)


class Item:
    """A key's item at libtorrent's nodes."""

    def __init__(self, key, asker, holder, salt=b""):
        self.key, self.asker, self.salt = key, asker, salt
        self.nodes = [(address, PEER_PORT) for address in holder.nets4]
        self.target = hashlib.sha1(key.public + salt).digest()
        self.link = f"btpk-{key.public.hex()}" \
            + (f"-{salt.hex()}" if salt else "")
        self.magnet = f"magnet:?xs=urn:btpk:{key.public.hex()}" \
            + (f"&s={salt.hex()}" if salt else "")

    def put(self, seq, info_hash, flip=0):
        """What each node says: None, or the code of an error."""
        value = {b"ih": bytes.fromhex(info_hash)}
        sig = self.key.sign(seq, krpc.encode(value), self.salt)
        sig = bytes([sig[0] ^ flip]) + sig[1:]
        more = {"salt": self.salt} if self.salt else {}
        errors = [krpc.put(self.asker, node, self.target, k=self.key.public,
                           seq=seq, sig=sig, v=value, **more)
                  for node in self.nodes]
        return [error and error[0] for error in errors]

    def stored(self):
        """(seq, info-hash) of those who have it, each rightly signed."""
        found = []
        for node in self.nodes:
            answer = krpc.get(self.asker, node, self.target)
            if b"v" not in answer:
                continue
            assert answer[b"k"] == self.key.public
            assert self.key.checks(answer[b"seq"],
                                   krpc.encode(answer[b"v"]),
                                   answer[b"sig"], self.salt)
            assert set(answer[b"v"]) == {b"ih"}
            found.append((answer[b"seq"], answer[b"v"][b"ih"].hex()))
        return found

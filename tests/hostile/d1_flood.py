"""Goal: who floods the node of the DHT gains nothing by it. A hundred thousand
get_peers from one address, and as many from ten thousand that are forged, each
within ten seconds: what goes out is at most three times what came, the one
address falls silent, a node that has shown where it is is answered meanwhile, and the
processor time of it all, under sanitizers, is less than a fifth of those ten
seconds."""

import json
import os
import socket
import struct
import time

import krpc
from lab import run, until
from shoal import Mount

PORT = 7010
QUERIES, SECONDS, SOURCES = 100000, 10, 10000
SHARE = 0.2
BPS, BURST_S = 8000, 10
FORGED = "198.18"
IP_PKTINFO = 8  # which the module does not name


def query(number):
    return krpc.encode({
        b"t": struct.pack(">I", number), b"y": b"q", b"q": b"get_peers",
        b"a": {b"id": krpc.NODE_ID,
               b"info_hash": struct.pack(">I", number * 2654435761 % 2 ** 32)
               * 5}})


class Node:
    """The mount's, as it says itself."""

    def __init__(self, mount, host):
        self.mount, self.where = mount, (host.ip4, PORT)

    def figures(self):
        with open(self.mount.at(".shoalfs/dht/status.json")) as status:
            return json.load(status)

    def cpu_seconds(self):
        with open(f"/proc/{self.mount.daemon()}/stat") as stat:
            fields = stat.read().rsplit(")", 1)[1].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def source(number):
    return socket.inet_aton(f"{FORGED}.{number >> 8 & 255}.{number & 255}")


def send(sock, where, number, forged):
    if not forged:
        sock.sendto(query(number), where)
        return
    control = struct.pack("I4s4s", 0, source(number % SOURCES), b"\0" * 4)
    sock.sendmsg([query(number)],
                 [(socket.IPPROTO_IP, IP_PKTINFO, control)], 0, where)


class Friend:
    """A node that asks now and then; it has shown that it is where it says, by
    an announce with the token that was sent there."""

    def __init__(self, host, node):
        self.sock = host.socket(kind=socket.SOCK_DGRAM)
        self.sock.settimeout(5)
        self.sock.connect(node.where)
        token = self.ask(query(1))[b"r"][b"token"]
        said = self.ask(krpc.encode({
            b"t": b"xx", b"y": b"q", b"q": b"announce_peer",
            b"a": {b"id": krpc.NODE_ID, b"port": 1, b"token": token,
                   b"info_hash": krpc.decode(query(1))[b"a"][b"info_hash"]}}))
        assert said[b"y"] == b"r", said

    def ask(self, text):
        self.sock.send(text)
        while True:
            said = krpc.decode(self.sock.recv(2048))
            if said[b"y"] != b"q":
                return said


def flood(rogue, friend, node, forged):
    before, cpu = node.figures(), node.cpu_seconds()
    began = time.monotonic()
    with rogue.socket(kind=socket.SOCK_DGRAM) as sock:
        for number in range(QUERIES):
            send(sock, node.where, number, forged)
            if number == QUERIES // 2:
                assert friend.ask(query(2))[b"y"] == b"r"
            late = number / QUERIES * SECONDS - (time.monotonic() - began)
            if late > 0.01:
                time.sleep(late)
    until(lambda: time.monotonic() - began > SECONDS, SECONDS + 5, "it ends")
    cpu = node.cpu_seconds() - cpu
    after = node.figures()
    came = after["in_bytes"] - before["in_bytes"]
    went = after["out_bytes"] - before["out_bytes"]
    asked = after["in_queries"] - before["in_queries"]
    refused = after["dropped"]["asked_too_much"] - \
        before["dropped"]["asked_too_much"]
    print(f"{'forged' if forged else 'one'}: {asked} queries came, {refused} "
          f"refused; {went / came:.2f} bytes out for each in; {cpu:.2f} s of "
          "processor")
    assert asked > QUERIES / 2, asked
    assert went <= 3 * came
    assert went < 2 * BPS * (SECONDS + 2 * BURST_S), went
    assert cpu < SHARE * SECONDS, cpu
    if not forged:
        assert refused > asked * 0.99


def scenario(lab):
    reader, rogue, friend = lab.hosts("reader", "rogue", "friend")
    lab.link(reader, rogue, friend)
    lab.ip("-n", rogue.name, "route", "add", "local", f"{FORGED}.0.0/16",
           "dev", "lo")
    lab.ip("-n", reader.name, "route", "add", f"{FORGED}.0.0/16",
           "via", rogue.ip4)
    mount = Mount(reader, options=[f"port={PORT}"],
                  dht=[f"{friend.ip4}:9999"])
    node = Node(mount, reader)
    friend = Friend(friend, node)
    flood(rogue, friend, node, False)
    flood(rogue, friend, node, True)
    assert friend.ask(query(3))[b"y"] == b"r"
    friend.sock.close()
    assert mount.stop() == 0


if __name__ == "__main__":
    run(scenario)

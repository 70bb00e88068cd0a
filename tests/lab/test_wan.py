"""The emulator delays, limits, loses and carries what it was told to: round
trips as ordered in both families, bytes intact through super-packets, a rate
that holds, and losses that repeat with the seed."""

import hashlib
import random
import socket
import threading
import time

from lab import run

DELAY_MS = 10
RATE_MBIT = 200
SO_RCVBUFFORCE = 33     # the datagrams come faster than they are read


def round_trip_ms(a, b, family, here, there):
    """The shortest of ten: the rest is this machine's scheduling."""
    left, right = (host.socket(family, socket.SOCK_DGRAM) for host in (a, b))
    best = 1e9
    with left, right:
        left.bind((here, 0))
        right.bind((there, 0))
        for probe in (left, right):
            probe.settimeout(5)
        for _ in range(10):
            began = time.monotonic()
            left.sendto(b"ping", right.getsockname())
            _, sender = right.recvfrom(16)
            right.sendto(b"pong", sender)
            left.recv(16)
            best = min(best, (time.monotonic() - began) * 1e3)
    return best


def stream(a, b, family, there, size):
    """Send `size` bytes over TCP; their rate in Mbit/s. They arrive intact."""
    data = random.Random(size).randbytes(size)
    with b.socket(family) as door, a.socket(family) as sender:
        door.bind((there, 0))
        door.listen()
        sender.connect(door.getsockname())
        receiver, _ = door.accept()
        began = time.monotonic()

        def send():
            sender.sendall(data)
            sender.shutdown(socket.SHUT_WR)
        worker = threading.Thread(target=send)
        worker.start()
        digest, count = hashlib.sha256(), 0
        with receiver:
            receiver.settimeout(30)
            while chunk := receiver.recv(1 << 20):
                digest.update(chunk)
                count += len(chunk)
        worker.join()
    assert count == size
    assert digest.digest() == hashlib.sha256(data).digest()
    return size * 8 / 1e6 / (time.monotonic() - began)


def survivors(lab, a, b, seed):
    """Which of 500 numbered datagrams pass a link that loses one in five."""
    emulator = lab.wan({a: {"loss": 0.2}, b: {}}, seed)
    with a.socket(kind=socket.SOCK_DGRAM) as left, \
            b.socket(kind=socket.SOCK_DGRAM) as right:
        right.bind((b.ip4, 0))
        right.settimeout(0.5)
        right.setsockopt(socket.SOL_SOCKET, SO_RCVBUFFORCE, 1 << 22)
        got = set()
        for number in range(500):
            left.sendto(number.to_bytes(2, "big"), right.getsockname())
        try:
            while True:
                got.add(int.from_bytes(right.recv(2), "big"))
        except TimeoutError:
            pass
    assert emulator.stop() == 0
    return got


def scenario(lab):
    a, b = lab.hosts("a", "b")
    shape = {"delay": f"{DELAY_MS}ms", "up": f"{RATE_MBIT}M",
             "down": f"{RATE_MBIT}M"}
    emulator = lab.wan({a: shape, b: shape})
    for family, here, there in ((socket.AF_INET, a.ip4, b.ip4),
                                (socket.AF_INET6, a.ip6, b.ip6)):
        trip = round_trip_ms(a, b, family, here, there)
        rate = stream(a, b, family, there, 20_000_000)
        print(f"{family.name}: round trip {trip:.1f} ms, {rate:.0f} Mbit/s")
        assert 4 * DELAY_MS <= trip < 4 * DELAY_MS + 30
        assert RATE_MBIT / 4 < rate <= RATE_MBIT
    assert emulator.stop() == 0
    # Hosts that no TCP connection still says goodbye to.
    a, b = lab.hosts("c", "d")
    first, again, other = (survivors(lab, a, b, seed) for seed in (1, 1, 2))
    print(f"of 500 datagrams {len(first)} and {len(other)} passed")
    assert first == again != other
    assert 350 < len(first) < 450


if __name__ == "__main__":
    run(scenario)

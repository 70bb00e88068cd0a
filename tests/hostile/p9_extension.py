"""Goal: what a peer says of himself in BEP 10's handshake is bounded, and
clean wherever it is shown: names of a million extensions, absurd numbers,
terminal sequences in the client's name, a lie about our own address."""

import json

from hostile import *
from lab import run

NAME = b"\x1b]0;owned\x07\x1b[31m\r\nevil\x00\xff\xfe\xe2\x80\xae" + b"x" * 300


def number(value):
    return b"i%de" % value


def hello(**fields):
    body = b"".join(b"%d:%s%s" % (len(key), key.encode(), value)
                    for key, value in sorted(fields.items()))
    return message(EXTENDED, b"\0d" + body + b"e")


def text(value):
    return b"%d:%s" % (len(value), value)


HANDSHAKES = {
    "no window": hello(reqq=number(0)),
    "a negative window": hello(reqq=number(-1)),
    "a huge window": hello(reqq=number(2 ** 31)),
    "a window past 63 bits": hello(reqq=number(2 ** 64)),
    "a window that is a text": hello(reqq=text(b"many")),
    "a name": hello(v=text(NAME)),
    "a long name": hello(v=text(b"\xf0\x9f\x90\x9f" * 50000)),
    "a name that is a number": hello(v=number(7)),
    "an address of three bytes": hello(yourip=text(b"abc")),
    "an address of ours": hello(yourip=text(b"\x7f\0\0\1")),
    "metadata of 2 GiB": hello(metadata_size=number(2 ** 31)),
    "metadata below nothing": hello(metadata_size=number(-5)),
    "extensions by the thousand": hello(m=b"d" + b"".join(
        text(b"x%05d" % at) + number(1) for at in range(900)) + b"e"),
    "one number for all": hello(m=b"d" + text(b"ut_metadata") + number(0)
                                + text(b"ut_pex") + number(0) + b"e"),
    "a number past a byte": hello(m=b"d" + text(b"ut_metadata")
                                  + number(70000) + b"e"),
    "a dictionary that is a list": hello(m=b"le"),
    "port 0": hello(p=number(0)),
    "port 2^16": hello(p=number(1 << 16)),
}


def is_clean(shown):
    return all(letter == "\n" or letter.isprintable() for letter in shown)


def scenario(lab):
    hosts = link_hosts(lab)
    addresses = add_addresses(hosts[2], len(HANDSHAKES))
    victim = Victim(hosts, make_film(lab))
    lines = {what: victim.dial(message(INTERESTED), stream, source=address)
             for (what, stream), address in zip(HANDSHAKES.items(), addresses)}
    # Said again and again, it is no more than said once.
    again = victim.dial(HANDSHAKES["a name"] * 2000)
    until(lambda: all(line.take(68) or victim.ended(line.name)
                      for line in lines.values()), 10, "all were heard")
    with open(victim.mount.at(".shoalfs", "status.json")) as shown:
        peers = json.load(shown)["torrents"][0]["peers"]
    with open(victim.mount.at(".shoalfs", "status")) as shown:
        assert is_clean(shown.read())
    assert any("evil" in peer["client"] for peer in peers), peers
    for peer in peers:
        assert is_clean(peer["client"]) and len(peer["client"]) < 128, peer
    told = {what: ended for what, line in lines.items()
            if (ended := victim.ended(line.name))}
    print(told)
    assert all(len(reasons) == 1 for reasons in told.values()), told
    assert is_clean(victim.mount.proc.text())
    for line in [again, *lines.values()]:
        line.close()
    victim.survived()


if __name__ == "__main__":
    run(scenario)

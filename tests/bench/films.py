"""A library of films that a media server probes while one of them is played.

The films are real: a few seconds of noise and a tone in mp4 with its index at the
end, mkv and avi, muxed anew with a title of their own for each torrent. `ffprobe`
looks at every one through the mount, one after the other, and has to say what it
says of the original; meanwhile a reader plays another film at its rate. Then all
once more, past the kernel's cache.
  payload   bytes of the probed films that came in, a film; goal: both ends, as
            many as are fetched of one whose index may be there, and a piece each
  second    bytes that the second pass fetched; goal 0
  dry       the longest that the player was behind its clock, s; goal: within its
            buffer
  probes    films a second, first pass and second"""

import os
import subprocess
import time

import trial
from stream import bytes_of
from lab import need, run
from player import Player, forget
from shoal import Mount, program
from swarm import make_torrent, start_seeds, write_blob

KINDS = ("mp4", "mkv", "avi")
END = 1 << 20  # fs/ends.h
PLAYED, RATE, BUFFER_SECONDS = 48 << 20, 1 << 20, 5


def parse():
    parser = trial.arguments("films", __doc__, rounds=1)
    parser.add_argument("--films", type=int, default=200, metavar="N")
    parser.add_argument("--piece", type=bytes_of, default="64K")
    parser.add_argument("--seconds", type=int, default=4, metavar="S",
                        help="that a film lasts, some 1.8 MB each (%(default)s)")
    options = trial.parsed(parser)
    if options.quick:
        options.films = min(options.films, 20)
    return options


def ffmpeg(*words):
    subprocess.run(["ffmpeg", "-v", "error", "-nostdin", "-y", *words],
                   check=True, timeout=600)


def make_films(folder, options):
    """Paths; each has bytes of its own."""
    first = {}
    for kind in KINDS:
        first[kind] = os.path.join(folder, f"first.{kind}")
        ffmpeg("-f", "lavfi", "-i",
               "testsrc2=size=320x240:rate=25,noise=alls=40:allf=t",
               "-f", "lavfi", "-i", "sine=frequency=440",
               "-t", str(options.seconds), "-c:v", "mpeg4", "-q:v", "3",
               "-c:a", "mp2", "-threads", "2", first[kind])
    films = []
    for n in range(options.films):
        kind = KINDS[n % len(KINDS)]
        films.append(os.path.join(folder, f"film {n:04}.{kind}"))
        ffmpeg("-i", first[kind], "-c", "copy", "-metadata",
               f"title=The {n}th of them", films[-1])
    return films


def probe(path):
    done = subprocess.run(
        ["ffprobe", "-v", "error", "-show_entries",
         "format=duration,size:stream=codec_name,nb_frames:format_tags=title",
         path], timeout=120, capture_output=True, text=True)
    assert done.returncode == 0 and not done.stderr, done
    return done.stdout


def look_at_all(torrents, mount, told):
    began = time.monotonic()
    for torrent, want in zip(torrents, told):
        assert probe(mount.at(torrent.name, torrent.name)) == want, torrent.name
    return len(torrents) / (time.monotonic() - began)


def measure(reader, torrents, film, source, told):
    mount = Mount(reader, options=[f"peer={source.address}"])
    for at in range(0, len(torrents) + 1, 100):
        done = reader.run([program("shoalctl"), "-m", mount.path, "add",
                           *(t.file for t in [film, *torrents][at:at + 100])])
        assert done.returncode == 0, done

    def payload():
        return sum(mount.held(t.name) for t in torrents)

    def settled():
        """What comes after a look was asked for by it."""
        was = -1
        while was != payload():
            was = payload()
            time.sleep(1)
        return was

    player = Player(mount.at(film.name, film.name), RATE)
    player.start()
    first_rate = look_at_all(torrents, mount, told)
    first = settled()
    for torrent in torrents:
        forget(mount.at(torrent.name, torrent.name))
    second_rate = look_at_all(torrents, mount, told)
    second = settled() - first
    player.is_over.set()
    player.join(30)
    assert player.failed is None, player.failed
    mount.stop()
    return {"payload": first / len(torrents) / 1024, "second": second,
            "dry": max(player.dry, 0), "probes": first_rate,
            "again": second_rate}


def main(options):
    goal = 2 * (END + options.piece) / 1024
    rows = [trial.Row("payload", "payload, KiB a film", "low", "{:.0f}", goal),
            trial.Row("second", "second pass, bytes", "low", "{:.0f}", 0),
            trial.Row("dry", "player late, s", "low", "{:.2f}",
                      BUFFER_SECONDS),
            trial.Row("probes", "probes/s", "high", "{:.1f}"),
            trial.Row("again", "probes/s again", "high", "{:.1f}")]

    def experiment(lab):
        need("ffmpeg", "ffprobe")
        reader, seed = lab.hosts("reader", "seed")
        lab.link(reader, seed)
        films = make_films(lab.mkdir("c"), options)
        told = [probe(path) for path in films]
        size = sum(map(os.path.getsize, films)) // len(films)
        torrents = [make_torrent(path, piece=options.piece) for path in films]
        film = make_torrent(write_blob(lab.path("c", "played.bin"), PLAYED, 7),
                            piece=options.piece)
        source = start_seeds(seed, [film, *torrents])
        found = trial.rounds("films", ["shoalfs"], options.rounds,
                             lambda name: measure(reader, torrents, film,
                                                  source, told))
        print(trial.title(options, f"films: {len(films)} of {size >> 10} KiB, "
                          f"pieces of {options.piece >> 10} KiB, one plays at "
                          f"{RATE >> 20} MiB/s"))
        print("\n".join(trial.table(rows, trial.medians(found))))
        source.stop()
    run(experiment)


if __name__ == "__main__":
    main(parse())

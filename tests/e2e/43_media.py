"""Goal: players and their tools read films through the mount, from a swarm, as from
a disk: mp4 with its index at the end, mkv and avi. ffprobe finds what it finds in
the original, ffmpeg decodes the same frames from the start and after a seek, mpv
plays to the end; and a second look at a film, past the kernel's cache, fetches
nothing."""

import os
import shutil
import time

from lab import need, run
from player import forget
from shoal import Mount, content_path
from swarm import make_torrent, start_seed

SECONDS = 40
FILMS = {"index-at-end.mp4": ["-c:v", "mpeg4", "-q:v", "3"],
         "film.mkv": ["-c:v", "mpeg4", "-q:v", "3"],
         "film.avi": ["-c:v", "mpeg4", "-q:v", "3"]}


def make_film(host, path, codec):
    """Noise, so that it does not shrink to nothing, and a tone."""
    done = host.run(["ffmpeg", "-v", "error", "-nostdin",
                     "-f", "lavfi", "-i",
                     "testsrc2=size=320x240:rate=25,noise=alls=40:allf=t",
                     "-f", "lavfi", "-i", "sine=frequency=440",
                     "-t", SECONDS, *codec, "-c:a", "mp2", "-threads", "2",
                     path], 120)
    assert done.returncode == 0, done.stderr


def probe(host, path):
    done = host.run(["ffprobe", "-v", "error", "-show_entries",
                     "format=duration,size:stream=codec_name,nb_frames",
                     path], 60)
    assert done.returncode == 0 and not done.stderr, done
    return done.stdout


def settled(mount, *path):
    """What is held when nothing comes any more."""
    held = -1
    while held != mount.held(*path):
        held = mount.held(*path)
        time.sleep(0.3)
    return held


def frames(host, path, at):
    """The checksums of two seconds of picture and sound from `at` on."""
    done = host.run(["ffmpeg", "-v", "error", "-nostdin", "-ss", at, "-i",
                     path, "-t", 2, "-f", "framemd5", "-"], 60)
    assert done.returncode == 0 and not done.stderr, done
    assert done.stdout.count("\n") > 50
    return done.stdout


def play(host, path):
    done = host.run(["mpv", "--no-config", "--vo=null", "--ao=null",
                     "--untimed", "--start=50%", "--length=5", "--no-terminal",
                     path], 90)
    assert done.returncode == 0, done


def scenario(lab):
    need("ffmpeg", "ffprobe")
    reader, seed = lab.hosts("reader", "seed")
    lab.link(reader, seed)
    folder = lab.mkdir("c", "films")
    for name, codec in FILMS.items():
        make_film(reader, os.path.join(folder, name), codec)
    torrent = make_torrent(folder)
    source = start_seed(seed, torrent)
    mount = Mount(reader, torrent.file, options=[f"peer={source.address}"])
    top = content_path(mount, torrent)
    for name in FILMS:
        ours, original = os.path.join(top, name), os.path.join(folder, name)
        assert probe(reader, ours) == probe(reader, original), name
        held = settled(mount, torrent.name, name)
        print(f"{name}: {os.path.getsize(ours)} bytes, {held} for a probe")
        forget(ours)
        assert probe(reader, ours) == probe(reader, original), name
        again = settled(mount, torrent.name, name)
        assert again == held, (name, held, again)
        for at in (SECONDS * 3 // 4, 0, SECONDS // 3):
            assert frames(reader, ours, at) == frames(reader, original, at)
        if shutil.which("mpv"):
            play(reader, ours)
        else:
            print("without mpv, which is not installed")
    assert mount.stop() == 0
    source.stop()


if __name__ == "__main__":
    run(scenario)

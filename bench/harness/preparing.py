"""prepare-audio, prepare-video: `relearn prepare` against the Python scripts."""
import contextlib
import functools
import io
import pathlib
import shutil
import sqlite3
import sys
import time

import numpy as np
from PIL import Image

from harness import machine, media
from harness.measure import BenchError, Block, Worker, check, interleave, note, relearn, result

# float32 arithmetic of two FFTs, after a log that magnifies it where there is little sound.
LOGMEL_LIMIT = 2e-3
# Mean difference of pixels, of 255: two JPEG encoders and two conversions to RGB of the same frame.
PIXEL_LIMIT = 4.0


def our_run(settings, folder, store):
    """One `relearn prepare`, start of the program included."""
    pathlib.Path(store).unlink(missing_ok=True)
    watch, started = machine.Watch(), time.perf_counter()
    relearn(settings, "prepare", "manifest", "--from", folder, "--to", store, "--jobs", settings.threads, "--quiet")
    seconds = time.perf_counter() - started
    foreign, cpu = watch.stop()
    return Block(seconds, foreign, cpu)


def start_peer(settings, kind, out, variant, paths):
    script = settings.root / "bench" / "peers" / "prepare_media.py"
    return Worker(f"Python {kind}", [sys.executable, str(script), kind, str(out), str(settings.threads), variant, *paths],
                  {"OMP_NUM_THREADS": "1"})


def cells(store):
    """(sizes, data) of every sample, in the order of the manifest."""
    with contextlib.closing(sqlite3.connect(f"file:{store}?mode=ro", uri=True)) as database:
        rows = database.execute("SELECT sizes, data FROM media JOIN samples USING (sample) ORDER BY id").fetchall()
    return [(np.frombuffer(sizes, "<u4"), data) for sizes, data in rows]


def check_audio(store, out, paths):
    worst = 0.0
    for (_, data), path in zip(cells(store), paths, strict=True):
        ours = np.frombuffer(data, "<f4").reshape(1024, 128)
        worst = max(worst, np.abs(ours - np.load(f"{out}/{pathlib.Path(path).stem}.npy")).max())
    return {"largest difference of log-mel values": check(worst, LOGMEL_LIMIT)}


def check_video(store, out, paths):
    """Frame counts (one more or less where the container's length is not a whole second), and pixels of
    each video's first frame."""
    counts, worst = 0, 0.0
    for (sizes, data), path in zip(cells(store), paths, strict=True):
        pictures = sorted(pathlib.Path(out, pathlib.Path(path).stem).glob("*.jpg"))
        counts = max(counts, abs(len(sizes) - len(pictures)))
        ours = np.asarray(Image.open(io.BytesIO(data[:sizes[0]])).convert("RGB"), np.float32)
        peer = np.asarray(Image.open(pictures[0]).convert("RGB"), np.float32)
        if ours.shape != peer.shape:
            raise BenchError(f"{path}: frames of {ours.shape} against {peer.shape}")
        worst = max(worst, float(np.abs(ours - peer).mean()))
    return {"frames of a video": check(counts, 1), "mean difference of pixels": check(worst, PIXEL_LIMIT)}


KINDS = {
    "audio": {"options": {"kind": "logmel", "frames": 1024, "mel_bins": 128}, "variants": ["0"], "check": check_audio},
    "video": {"options": {"kind": "frames", "fps": 1, "jpeg_quality": 95}, "variants": ["0", "1"],
              "check": check_video},
}


def best_variant(settings, kind, out, paths):
    variants = KINDS[kind]["variants"]
    if len(variants) == 1:
        return variants[0]
    seconds = {}
    for variant in variants:
        with start_peer(settings, kind, out, variant, paths) as peer:
            seconds[variant] = peer.run(1).seconds
            note(f"  decoder threads {variant}: {seconds[variant]:.2f} s")
    return min(seconds, key=seconds.get)


def prepare(name, settings, *, kind):
    paths, what = (media.sounds(settings), f"{media.SOUND_SECONDS} s sounds") if kind == "audio" else media.videos(
        settings)
    folder = media.manifest(settings.data / f"prepare-{kind}", kind, KINDS[kind]["options"], paths)
    store, out = settings.data / f"prepare-{kind}.store", settings.data / f"prepare-{kind}-peer"
    shutil.rmtree(out, ignore_errors=True)
    variant = best_variant(settings, kind, out, paths)
    our_run(settings, folder, store)  # files come from memory for both
    with start_peer(settings, kind, out, variant, paths) as peer:
        comparison = interleave(settings, lambda: our_run(settings, folder, store), lambda: peer.run(1))
    checks = KINDS[kind]["check"](store, out, paths)
    details = {"files": f"{len(paths)}: {what}", "store_bytes": store.stat().st_size}
    if kind == "video":
        details["peer_decoder_threads"] = int(variant) or "as OpenCV chooses"
    peer_name = f"Python, {settings.threads} processes: " + ("soundfile + torchaudio" if kind == "audio" else "OpenCV")
    return result(name, settings, comparison, peer_name=peer_name, unit="files/s", goal=2.0, work=len(paths),
                  checks=checks, details=details)


BENCHMARKS = {f"prepare-{kind}": functools.partial(prepare, kind=kind) for kind in KINDS}

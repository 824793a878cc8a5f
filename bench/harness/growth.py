"""growth: whether an epoch's time and the memory of training stay in proportion as a data set grows."""
import contextlib
import csv
import json
import pathlib
import shutil
import sqlite3
import statistics

from harness import machine
from harness.measure import BenchError, Block, Comparison, check, note, quiet_rounds, relearn, result

SMALL, MIDDLE, LARGE = 1000, 3000, 10000  # training samples; a tenth as many validate
VALIDATION_SHARE = 10
# So many epochs that each size is timed for about as long; the first of a run does not count.
EPOCHS = {SMALL: 5, MIDDLE: 2, LARGE: 2}
RSS_GOAL = 0.05  # growth that ten times the data may bring

MODALITIES = """modalities:
  audio: {kind: logmel, mel_bins: 32, frames: 32}
  visual: {kind: frames, clip_frames: 1, height: 64, width: 64, crop: resized, flip: 0.5}
"""
# Diagnosing keeps the features of every sample: memory is taken with it, after the second epoch.
CONFIG = """method: relearn
batch: 100
encoder: {width: 16, blocks: [1, 1]}
relearn: {period: 1, times: 1}
"""


def make_media(settings):
    """Sounds of 0.3 s and pictures of 72 x 72."""
    folder = settings.data / "growth-media"
    if not folder.exists():
        note(f"generating {LARGE + LARGE // VALIDATION_SHARE} samples")
        relearn(settings, "synth", "--out", folder, "--classes", 8, "--train", LARGE, "--val", LARGE // VALIDATION_SHARE,
                "--test", 0, "--seconds", 0.3, "--frames", 1, "--picture-size", 72)
    return folder


def make_store(settings, samples):
    """The first `samples` of the training split, and their share of the validation split, as a store."""
    store = settings.data / f"growth-{samples}.store"
    if store.exists():
        return store
    media, folder = make_media(settings), settings.data / f"growth-{samples}"
    folder.mkdir(exist_ok=True)
    left = {"train": samples, "val": samples // VALIDATION_SHARE}
    with open(media / "manifest.csv", newline="", encoding="utf-8") as source, \
            open(folder / "manifest.csv", "w", newline="", encoding="utf-8") as file:
        rows = csv.DictReader(source)
        writer = csv.DictWriter(file, rows.fieldnames)
        writer.writeheader()
        for row in rows:
            left[row["split"]] -= 1
            if left[row["split"]] >= 0:
                paths = {name: str(media / row[name]) for name in ("audio", "visual")}
                writer.writerow(row | paths)
    (folder / "manifest.yaml").write_text(MODALITIES, encoding="utf-8")
    relearn(settings, "prepare", "manifest", "--from", folder, "--to", store, "--quiet")
    with contextlib.closing(sqlite3.connect(f"file:{store}?mode=ro", uri=True)) as database:
        count = database.execute("SELECT count(*) FROM samples").fetchone()[0]
    if count != samples + samples // VALIDATION_SHARE:
        raise BenchError(f"{store}: {count} samples")
    return store


def train(settings, samples):
    """One `relearn train`: a Block of a thousand samples' share of an epoch, validation included."""
    store, out = make_store(settings, samples), settings.data / "growth-run"
    config = settings.data / "growth.yaml"
    config.write_text(CONFIG, encoding="utf-8")
    shutil.rmtree(out, ignore_errors=True)
    watch = machine.Watch()
    relearn(settings, "train", config, "--data", store, "--out", out, "--quiet", "--set", f"epochs={EPOCHS[samples]}",
            "--set", f"threads={settings.threads}")
    foreign, cpu = watch.stop()
    with open(pathlib.Path(out) / "log.jsonl", encoding="utf-8") as file:
        events = [json.loads(line) for line in file]
    epochs = [event for event in events if event["event"] == "epoch"]
    summary = json.loads((out / "summary.json").read_text(encoding="utf-8"))
    thousands = samples / 1000
    answer = {"samples": [event["train"]["samples"] for event in epochs], "loss": epochs[-1]["train"]["loss"],
              "first_loss": epochs[0]["train"]["loss"], "diagnoses": len(summary["diagnoses"]),
              "rss_mib": summary["timing"]["peak_rss_kib"] / 1024}
    seconds = statistics.median(event["timing"]["seconds"] for event in epochs[1:])
    return Block(seconds / thousands, foreign, cpu / thousands / len(epochs), answer)


def same_kind_of_work(runs):
    """How far the runs are from having seen every sample in every epoch, having diagnosed once, and having learnt."""
    wrong = 0
    for samples, blocks in runs.items():
        for block in blocks:
            answer = block.answer
            wrong += answer["samples"] != [samples] * EPOCHS[samples] or answer["diagnoses"] != 1
            wrong += not answer["loss"] < answer["first_loss"]
    return wrong


def growth(name, settings):
    """Seconds of an epoch per 1,000 samples at 10,000 against those at 1,000; met when peak memory does not grow either."""
    sizes = LARGE, MIDDLE, SMALL
    for samples in sizes:
        make_store(settings, samples)
    rounds, foreign, trusted = quiet_rounds(settings, lambda: [train(settings, samples) for samples in sizes])
    runs = dict(zip(sizes, zip(*rounds)))
    comparison = Comparison(runs[LARGE], runs[SMALL], foreign, trusted)
    rates = {samples: statistics.median(block.seconds for block in blocks) for samples, blocks in runs.items()}
    rss = {samples: statistics.median(block.answer["rss_mib"] for block in blocks) for samples, blocks in runs.items()}
    # What a further 1,000 samples take: an epoch's fixed costs, which flatter large data, are in neither.
    epoch = {samples: rates[samples] * samples / 1000 for samples in rates}
    marginal = [1000 * (epoch[b] - epoch[a]) / (b - a) for a, b in ((SMALL, MIDDLE), (MIDDLE, LARGE))]
    growing = rss[LARGE] / rss[SMALL] - 1
    details = {"seconds_per_epoch": {str(samples): round(value, 4) for samples, value in epoch.items()},
               "seconds_per_1000_more_samples": [round(value, 4) for value in marginal],
               "peak_rss_mib": {str(samples): round(value, 1) for samples, value in rss.items()},
               "memory": {"growth": round(growing, 4), "goal": RSS_GOAL, "met": growing <= RSS_GOAL,
                          "bytes_per_sample": round((rss[LARGE] - rss[SMALL]) * 2**20 / (LARGE - SMALL))}}
    note(f"  epoch: {details['seconds_per_epoch']} s; peak: {details['peak_rss_mib']} MiB, {100 * growing:.1f} % more")
    row = result(name, settings, comparison, peer_name=f"ours, {SMALL} samples", unit="s/1000", goal=0.95,
                 checks={"runs that did other work": check(same_kind_of_work(runs), 0)}, details=details)
    return row | {"met": row["met"] and growing <= RSS_GOAL}


BENCHMARKS = {"growth": growth}

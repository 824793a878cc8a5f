"""loader, diagnose-share, logging-share: what training costs besides its steps."""
import shutil
import statistics

from harness import clustering, media
from harness.measure import QUIET, Worker, check, finish, interleave, note, result

BATCH = 16
TRAIN, VALIDATION = 192, 48  # samples of the synthetic store
STEPS = 16  # of a block
PREFETCHED = 6  # batches that may lie ready when a block begins: those steps do not count

# CREMA-D's protocol.
EPOCHS, DIAGNOSES, MODALITIES, TRAIN_SAMPLES, VALIDATION_SAMPLES = 90, 3, 2, 5954, 744


LOG_LIMIT = 20e6  # bytes of log.jsonl


def start(settings, store, what, *more):
    return Worker(f"relearn, {what}", [settings.program("training"), "--store", store, "--do", what, "--batch", str(BATCH),
                                       "--threads", str(settings.threads), *more])


def steps(worker, count=STEPS):
    """A block whose seconds are the mean of a step once what lay ready is used up."""
    block = worker.run(count)
    block.seconds = statistics.mean(block.answer["seconds"][PREFETCHED:])
    return block


def loader(name, settings):
    """Step time with preloaded data, as a share of that with data decoded and augmented meanwhile on
    the same CPUs."""
    store = media.synthetic_store(settings, TRAIN, VALIDATION)
    with start(settings, store, "step") as real, start(settings, store, "preloaded") as preloaded:
        waited = real.run(1).answer["account"]["loader_wait_seconds"]
        comparison = interleave(settings, lambda: steps(real), lambda: steps(preloaded))
        last = comparison.ours[-1].answer["account"]
    counted = STEPS * len(comparison.foreign)
    details = {"loader_wait_seconds_per_step": round((last["loader_wait_seconds"] - waited) / counted, 5),
               "share_over_preloaded": round(1 / comparison.ratio - 1, 4)}
    # A loss that is no number is null, and would mean that no real work was done.
    checks = {"loss is a number": check(0 if last["loss"] is not None else 1, 0)}
    return result(name, settings, comparison, peer_name="ours, preloaded data", unit="samples/s", goal=0.97, work=BATCH,
                  checks=checks, details=details)


def diagnose_share(name, settings):
    """Share of diagnosing in a run of CREMA-D's protocol, from what a step, an evaluated sample and a
    k-means take here; what the arithmetic is goes into the details."""
    store = media.synthetic_store(settings, TRAIN, VALIDATION)
    features = clustering.features(settings, 6000, 6, True)
    shares, foreign, rows = [], [], []
    with start(settings, store, "step") as train, start(settings, store, "pass") as evaluate, \
            clustering.start_ours(settings, features, 6) as cluster:
        validation = evaluate.ready["validation"]
        for _ in range(settings.rounds):
            blocks = steps(train), evaluate.run(1), cluster.run(1)
            foreign.append(max(block.foreign for block in blocks))
            rows.append({"step": blocks[0].seconds, "sample": blocks[1].seconds / validation,
                         "k-means": blocks[2].seconds})
            training, diagnosing = extrapolate(rows[-1])
            shares.append(100 * diagnosing / (training + diagnosing))
    median = {key: statistics.median(row[key] for row in rows) for key in rows[0]}
    training, diagnosing = extrapolate(median)
    share = 100 * diagnosing / (training + diagnosing)
    arithmetic = (
        f"training: {EPOCHS} epochs x ({TRAIN_SAMPLES} / {BATCH} steps x {median['step']:.3f} s + {VALIDATION_SAMPLES} "
        f"samples x {median['sample']:.4f} s) = {training:.0f} s; diagnosing: {DIAGNOSES} x ({TRAIN_SAMPLES} + "
        f"{VALIDATION_SAMPLES} samples x {median['sample']:.4f} s + {MODALITIES} modalities x k-means of "
        f"{TRAIN_SAMPLES + VALIDATION_SAMPLES} samples at {median['k-means']:.3f} s per 6000) = {diagnosing:.0f} s; "
        f"share {share:.2f} %")
    note("  " + arithmetic)
    return finish(name, settings, ours=shares, peer=[2.0], ratios=[2 / value for value in shares], ratio=2 / share,
                  peer_name="limit of 2 %", unit="%", goal=1.0, checks={}, foreign=foreign, trusted=max(foreign) <= QUIET,
                  details={"arithmetic": arithmetic, "seconds": {key: round(value, 5) for key, value in median.items()}})


def extrapolate(row):
    """Seconds of training and of diagnosing in a whole run."""
    training = EPOCHS * (TRAIN_SAMPLES / BATCH * row["step"] + VALIDATION_SAMPLES * row["sample"])
    samples = TRAIN_SAMPLES + VALIDATION_SAMPLES
    diagnosing = DIAGNOSES * (samples * row["sample"] + MODALITIES * row["k-means"] * samples / 6000)
    return training, diagnosing


def logging_share(name, settings):
    """What an epoch of CREMA-D's protocol logs and shows (lines, TensorBoard's events and files, progress, all synced),
    as a share of its steps; and the size of both files after 90 epochs."""
    store = media.synthetic_store(settings, TRAIN, VALIDATION)
    count = TRAIN_SAMPLES // BATCH
    out = settings.data / "logging"
    shutil.rmtree(out, ignore_errors=True)
    shares, foreign, rows = [], [], []
    with start(settings, store, "step") as train, start(settings, store, "log", "--out", str(out), "--steps", str(count)) as log:
        first = log.run(1).answer["account"]
        for _ in range(settings.rounds):
            blocks = steps(train), log.run(3)
            foreign.append(max(block.foreign for block in blocks))
            rows.append({"step": blocks[0].seconds, "epoch": statistics.mean(blocks[1].answer["seconds"])})
            shares.append(100 * rows[-1]["epoch"] / (count * rows[-1]["step"]))
        last = blocks[1].answer["account"]
    epochs = last["epochs"] - first["epochs"]
    sizes = {key: EPOCHS * (last[key] - first[key]) / epochs + first[key] for key in ("log_bytes", "event_bytes")}
    share = statistics.median(shares)
    checks = {"log.jsonl of 90 epochs in MB": check(sizes["log_bytes"] / 1e6, LOG_LIMIT / 1e6)}
    return finish(name, settings, ours=shares, peer=[0.5], ratios=[0.5 / value for value in shares], ratio=0.5 / share,
                  peer_name="limit of 0.5 %", unit="%", goal=1.0, checks=checks, foreign=foreign, trusted=max(foreign) <= QUIET,
                  details={"seconds": rows, "steps": count, "bytes_of_90_epochs": sizes})


BENCHMARKS = {"loader": loader, "diagnose-share": diagnose_share, "logging-share": logging_share}

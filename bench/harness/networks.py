"""step-*, eval-*, memory-step: the two-tower ResNet-18, ours against PyTorch.

A row of BENCHMARKS is all that a further precision of ours needs: its name goes to bench/step and
bench/eval as --precision.
"""
import functools
import os
import statistics
import sys

import numpy as np

from harness.measure import BenchError, TooSlow, Worker, check, finish, interleave, note, result

BATCH = 16
EVALUATED = 64  # samples of one iteration of evaluation
JEMALLOC = "libjemalloc.so.2"
JEMALLOC_OPTIONS = "thp:always,dirty_decay_ms:-1,muzzy_decay_ms:-1,retain:true"

# Words of a PyTorch variant: see bench/peers/torch_network.py. The first of a list is PyTorch as it comes.
STEP_F32 = ["default", "cl", "cl+jemalloc", "cl+jemalloc+fused", "jemalloc+compile", "cl+jemalloc+compile"]
STEP_BF16 = ["cl+jemalloc+bf16", "cl+jemalloc+bf16+fused", "cl+jemalloc+bf16+compile", "cl+jemalloc+fpmath"]
EVAL_F32 = ["default", "cl+jemalloc", "cl+jemalloc+fold", "cl+jemalloc+compile", "cl+jemalloc+freeze",
            "jemalloc+freeze"]
EVAL_BF16 = ["cl+jemalloc+bf16", "cl+jemalloc+bf16+fold", "cl+jemalloc+bf16+freeze", "cl+jemalloc+bf16weights+fold",
             "cl+jemalloc+bf16weights+freeze"]
EVAL_BATCHES = [16, 64]

# Differences that precision explains: of the first step's logits and loss, and of the loss two
# steps on, into which the gradients have gone (Winograd's and PyTorch's differ by 5e-3 from double's
# at most; times two steps of 2e-3, that is far below). bf16 has 8 bits.
LIMITS = {"f32": {"logits": 1e-3, "loss": 1e-4, "later_loss": 1e-2},
          "bf16": {"logits": 1e-1, "loss": 2e-2, "later_loss": 5e-2}}


def jemalloc_path():
    for folder in ("/usr/lib/x86_64-linux-gnu", "/usr/lib64", "/usr/lib"):
        path = os.path.join(folder, JEMALLOC)
        if os.path.exists(path):
            return path
    raise BenchError(f"{JEMALLOC} is missing: the peer would not be at its best (run `make bench`)")


def start_torch(settings, mode, variant, batch=BATCH):
    words = variant.split("+")
    environment = {"OMP_NUM_THREADS": str(settings.threads),
                   "TORCHINDUCTOR_CACHE_DIR": str(settings.build / "bench-inductor")}
    if "jemalloc" in words:
        environment |= {"LD_PRELOAD": jemalloc_path(), "MALLOC_CONF": JEMALLOC_OPTIONS}
    if "freeze" in words:
        environment["TORCHINDUCTOR_FREEZING"] = "1"
    command = [sys.executable, str(settings.root / "bench" / "peers" / "torch_network.py"), mode, variant,
               str(settings.threads), str(batch), str(iteration_samples(mode))]
    return Worker(f"PyTorch {variant}", command, environment)


def start_ours(settings, mode, precision, batch=BATCH):
    command = [settings.program("step" if mode == "step" else "eval"), "--threads", str(settings.threads), "--batch",
               str(batch), "--precision", precision, "--samples", str(iteration_samples(mode))]
    return Worker(f"relearn {precision}", command)


def iteration_samples(mode):
    return BATCH if mode == "step" else EVALUATED


def same_work(ours, peer, limits):
    a, b = np.asarray(ours["logits"]), np.asarray(peer["logits"])
    if a.shape != b.shape:
        raise BenchError(f"logits of {a.shape} against {b.shape}: not the same work")
    checks = {"logits": check(np.abs(a - b).max() / np.abs(b).max(), limits["logits"])}
    if "losses" in ours:
        first, later = (abs(ours["losses"][i] - peer["losses"][i]) / peer["losses"][i] for i in (0, -1))
        checks |= {"loss": check(first, limits["loss"]), "later_loss": check(later, limits["later_loss"])}
    return checks


def screen(settings, mode, start, candidates):
    """Runs every candidate briefly: {label: samples/s}, best label. What cannot run is left out, in words."""
    rates = {}
    slow = []  # sets of words that took too long
    for label, arguments in candidates.items():
        words = set(arguments[0].split("+"))
        if any(known <= words for known in slow):
            note(f"  {label}: left out: a part of it took too long already")
            rates[label] = {"failed": "a part of it took too long already"}
            continue
        try:
            with start(settings, mode, *arguments) as worker:
                seconds = worker.run(3).seconds
                rates[label] = {"samples_per_second": round(iteration_samples(mode) / seconds, 3),
                                "peak_rss_mib": worker.run(1).answer["peak_rss_kib"] // 1024}
                note(f"  {label}: {rates[label]['samples_per_second']:.2f} samples/s")
        except BenchError as error:
            note(f"  {label}: left out: {error}")
            rates[label] = {"failed": str(error)}
            if isinstance(error, TooSlow):
                slow.append(words)
    ran = {label: row["samples_per_second"] for label, row in rates.items() if "failed" not in row}
    if not ran:
        raise BenchError("no variant ran")
    return rates, max(ran, key=ran.get)


def candidates_of(mode, variants):
    if mode == "step":
        return {variant: (variant,) for variant in variants}
    return {f"{variant}, batch {batch}": (variant, batch) for variant in variants for batch in EVAL_BATCHES}


@functools.cache
def screened(settings_key, mode, variants, precisions):
    """Of this run of bench/run: benchmarks that share variants share their screening."""
    settings = settings_key.settings
    note(f"{mode}: looking for our best")
    try:
        ours = screen(settings, mode, start_ours, candidates_of(mode, precisions))
    except BenchError as error:
        raise BenchError(f"the engine cannot compute in {' or '.join(precisions)} here: {error}") from error
    note(f"{mode}: looking for PyTorch's best variant")
    return ours, screen(settings, mode, start_torch, candidates_of(mode, variants))


class _Key:
    """Makes settings a cache key by identity."""

    def __init__(self, settings):
        self.settings = settings

    def __hash__(self):
        return id(self.settings)

    def __eq__(self, other):
        return self.settings is other.settings


def compare(settings, mode, our_arguments, peer_arguments, limits, blocks):
    with start_ours(settings, mode, *our_arguments) as ours, start_torch(settings, mode, *peer_arguments) as peer:
        checks = same_work(ours.ready, peer.ready, limits)
        ours.run(1), peer.run(1)
        return interleave(settings, lambda: ours.run(blocks), lambda: peer.run(blocks)), checks


def network(name, settings, *, mode, precisions, variants, goal, goal_as_it_comes=None):
    if settings.peer:
        variants, goal_as_it_comes = [settings.peer], None
    (our_rates, our_best), (rates, best) = screened(_Key(settings), mode, tuple(variants), tuple(precisions))
    our_arguments = candidates_of(mode, precisions)[our_best]
    peer_arguments = candidates_of(mode, variants)[best]
    loose = "bf16" in our_best or "bf16" in best or "fpmath" in best
    comparison, checks = compare(settings, mode, our_arguments, peer_arguments, LIMITS["bf16" if loose else "f32"], 3)
    details = {"ours": our_rates, "peers": rates, "ours_best": our_best}
    if goal_as_it_comes:
        plain, plain_checks = compare(settings, mode, our_arguments, candidates_of(mode, ["default"]).popitem()[1],
                                      LIMITS["f32"], 2)
        peer = iteration_samples(mode) / statistics.median(plain.seconds("peer"))
        details["as_it_comes"] = {"peer": round(peer, 3), "ratio": round(plain.ratio, 3), "goal": goal_as_it_comes,
                                  "met": plain.ratio >= goal_as_it_comes, "trusted": plain.trusted,
                                  "checks": plain_checks}
    return result(name, settings, comparison, peer_name=f"PyTorch {best}", unit="samples/s", goal=goal,
                  work=iteration_samples(mode), checks=checks, details=details)


def memory(name, settings, *, precision, variants):
    """Peak resident memory of the process. PyTorch's is taken once it runs (import and compilation
    do not count), ours from the start; PyTorch's most frugal variant of that precision is the peer."""
    peaks = {}
    with start_ours(settings, "step", precision) as worker:
        ours_ready, ours = worker.ready, worker.run(3).answer["peak_rss_kib"] / 1024
    for variant in [settings.peer] if settings.peer else variants:
        try:
            with start_torch(settings, "step", variant) as worker:
                worker.reset_peak()
                peaks[variant] = (worker.run(3).answer["peak_rss_kib"] / 1024, worker.ready)
                note(f"  {variant}: {peaks[variant][0]:.0f} MiB")
        except BenchError as error:
            note(f"  {variant}: left out: {error}")
    if not peaks:
        raise BenchError("no variant of PyTorch ran")
    best = min(peaks, key=lambda variant: peaks[variant][0])
    peer, ready = peaks[best]
    # What others do does not change what a process holds: always trusted.
    return finish(name, settings, ours=[ours], peer=[peer], ratios=[peer / ours], ratio=peer / ours,
                  peer_name=f"PyTorch {best}", unit="MiB", goal=round(1 / 0.6, 3),
                  checks=same_work(ours_ready, ready, LIMITS[precision]), foreign=[0.0], trusted=True,
                  details={"peers": {variant: round(value[0]) for variant, value in peaks.items()},
                           "share_of_peer": round(ours / peer, 3)})


BENCHMARKS = {
    "step-f32": functools.partial(network, mode="step", precisions=["f32"], variants=STEP_F32, goal=2.7,
                                  goal_as_it_comes=4.0),
    "step-bf16": functools.partial(network, mode="step", precisions=["bf16"], variants=STEP_BF16, goal=1.7),
    "step-best": functools.partial(network, mode="step", precisions=["f32", "bf16"], variants=STEP_F32 + STEP_BF16,
                                   goal=1.7),
    "eval-f32": functools.partial(network, mode="eval", precisions=["f32"], variants=EVAL_F32, goal=2.7),
    "eval-best": functools.partial(network, mode="eval", precisions=["f32", "bf16"], variants=EVAL_F32 + EVAL_BF16, goal=1.6),
    "memory-step": functools.partial(memory, precision="f32", variants=STEP_F32),
    "memory-step-bf16": functools.partial(memory, precision="bf16", variants=STEP_BF16),
}

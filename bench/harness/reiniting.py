"""reinit: `relearn reinit` on a pair of ResNet-18 checkpoints, held against a limit; and what PyTorch takes for it."""
import statistics
import sys
import time

import torch

from harness import machine
from harness.measure import Block, Worker, check, finish, interleave, relearn

ALPHA = 0.31
LIMIT_SECONDS = 0.3
# Two ways to write the same sum in float32.
LIMIT = 1e-6


def our_run(settings, folder):
    """One `relearn reinit`, start of the program and syncing of the result included."""
    watch, started = machine.Watch(), time.perf_counter()
    relearn(settings, "reinit", "--weights", folder / "trained.pth", "--initial", folder / "initial.pth", "--alpha",
            f"visual_net.={ALPHA}", "--out", folder / "ours.pth")
    seconds = time.perf_counter() - started
    foreign, cpu = watch.stop()
    return Block(seconds, foreign, cpu)


def difference(folder):
    ours, peer = (torch.load(folder / f"{name}.pth", weights_only=True) for name in ("ours", "peer"))
    return max((ours[name].double() - peer[name].double()).abs().max().item() for name in peer)


def reinit(name, settings):
    folder = settings.data / "reinit"
    folder.mkdir(exist_ok=True)
    script = settings.root / "bench" / "peers" / "torch_reinit.py"
    with Worker("PyTorch reinit", [sys.executable, str(script), str(folder)]) as peer:
        our_run(settings, folder)  # files come from memory for both
        comparison = interleave(settings, lambda: our_run(settings, folder), lambda: peer.run(1))
    ours = comparison.seconds("ours")
    details = {"bytes": peer.ready["bytes"], "cpu_seconds": comparison.cpu_seconds(),
               "PyTorch, its start not counted": round(statistics.median(comparison.seconds("peer")), 4)}
    return finish(name, settings, ours=ours, peer=[LIMIT_SECONDS], ratios=[LIMIT_SECONDS / value for value in ours],
                  ratio=LIMIT_SECONDS / statistics.median(ours), peer_name=f"limit of {LIMIT_SECONDS} s", unit="seconds",
                  goal=1.0, checks={"weights": check(difference(folder), LIMIT)}, foreign=comparison.foreign,
                  trusted=comparison.trusted, details=details)


BENCHMARKS = {"reinit": reinit}

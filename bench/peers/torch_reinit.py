"""PyTorch's side of reinit: torch_reinit.py FOLDER. Makes FOLDER/trained.pth and initial.pth, ResNet-18 without its last
layer; an iteration loads both, pulls every floating-point tensor back and saves FOLDER/peer.pth, synced to the disk as ours.
Protocol on stdin and stdout: see Worker in bench/harness/measure.py."""
import json
import os
import pathlib
import resource
import sys
import time

import torch

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[2] / "tests" / "oracle"))
from resnet import ResNet  # noqa: E402

ALPHA = 0.31
BUFFERS = ("running_mean", "running_var", "num_batches_tracked")


def reinit(folder):
    trained, initial = (torch.load(folder / f"{name}.pth", weights_only=True) for name in ("trained", "initial"))
    for name, tensor in trained.items():
        if not name.endswith(BUFFERS):
            tensor.lerp_(initial[name], ALPHA)
    with open(folder / "peer.pth", "wb") as file:
        torch.save(trained, file)
        file.flush()
        os.fsync(file.fileno())


def main():
    folder = pathlib.Path(sys.argv[1])
    for seed, name in enumerate(("initial", "trained")):
        torch.manual_seed(seed)
        torch.save(torch.nn.ModuleDict({"visual_net": ResNet(3)}).state_dict(), folder / f"{name}.pth")
    reinit(folder)
    print(json.dumps({"bytes": os.path.getsize(folder / "trained.pth")}), flush=True)
    for line in sys.stdin:
        seconds = []
        for _ in range(int(line.split()[1])):
            started = time.perf_counter()
            reinit(folder)
            seconds.append(time.perf_counter() - started)
        print(json.dumps({"seconds": seconds, "peak_rss_kib": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss}), flush=True)


if __name__ == "__main__":
    main()

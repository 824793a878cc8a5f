"""Compares weights that go out to PyTorch and come back, in the environment that make_*.py need: torch.load reads what
`relearn reinit` writes, bit for bit; docs/pytorch_model.py gives the logits of runs that `relearn export` wrote; `relearn
import` makes an equal run of them. Run by tools/oracle.sh, which says in RELEARN_BUILD where the build is."""
import collections
import json
import os
import pathlib
import subprocess
import sys
import tempfile

import torch
from safetensors.torch import load_file

sys.path.insert(0, str(pathlib.Path(os.environ["RELEARN_ROOT"]) / "docs"))
import pytorch_model  # noqa: E402

BUILD = pathlib.Path(os.environ["RELEARN_BUILD"])
TYPES = [torch.float32, torch.float64, torch.float16, torch.bfloat16, torch.int64, torch.int32, torch.int16, torch.int8,
         torch.uint8, torch.bool]
LOGITS = 1e-4
failures = 0


def expect(what, good, figure=""):
    global failures
    failures += not good
    print("ok  " if good else "FAIL", what, figure)


def relearn(*arguments):
    done = subprocess.run([BUILD / "relearn", *map(str, arguments)], capture_output=True, text=True)
    if done.returncode:
        raise SystemExit(f"relearn {' '.join(map(str, arguments))}: {done.stderr}")
    return done.stdout


def bits(tensor):
    return tensor.dtype, tuple(tensor.shape), tensor.contiguous().reshape(-1).view(torch.uint8).tolist()


def same(a, b):
    return list(a) == list(b) and all(bits(a[name]) == bits(b[name]) for name in a)


def random_state(seed):
    """Every type, views of every kind, special numbers."""
    generator = torch.Generator().manual_seed(seed)
    state = collections.OrderedDict()
    for dtype in TYPES:
        numbers = torch.randn(7, 9, generator=generator) * 20
        base = (numbers > 0) if dtype == torch.bool else numbers.abs().to(dtype) if dtype == torch.uint8 else numbers.to(dtype)
        name = str(dtype).removeprefix("torch.")
        state[f"net.{name}.whole"] = base
        state[f"net.{name}.transposed"] = base.t()
        state[f"net.{name}.window"] = base[1:6:2, 2:8:3]
        state[f"net.{name}.column"] = base[:, 4]
        state[f"net.{name}.scalar"] = base[3, 3]
        state[f"net.{name}.empty"] = base[:0]
    state["net.special"] = torch.tensor([float("inf"), float("-inf"), float("nan"), -0.0, 1e-45, 3.4e38])
    state["net.parameter"] = torch.nn.Parameter(torch.randn(3, 4, 5, 2, generator=generator).permute(3, 1, 0, 2))
    return state


def check_files(work):
    trained, initial = random_state(1), random_state(2)
    for old in False, True:
        name = "old" if old else "zip"
        for what, state in ("w", trained), ("w0", initial):
            torch.save({"state_dict": state, "epoch": 3}, work / f"{what}.pt", _use_new_zipfile_serialization=not old)
        for out in "copy.pth", "copy.safetensors":
            relearn("reinit", "--weights", work / "w.pt", "--initial", work / "w0.pt", "--alpha", "net=0", "--out", work / out)
            got = torch.load(work / out, weights_only=True) if out.endswith("pth") else load_file(work / out)
            wanted = {key: tensor.detach() for key, tensor in trained.items()}
            expect(f"{name} -> {out}: the same bits", same(dict(sorted(got.items())), dict(sorted(wanted.items()))))
        relearn("reinit", "--weights", work / "w.pt", "--initial", work / "w0.pt", "--alpha", "net=0.3", "--out", work / "m.pth")
        mixed = torch.load(work / "m.pth", weights_only=True)
        worst, wrong = 0.0, 0
        for key, tensor in trained.items():
            if tensor.is_floating_point() and tensor.numel() and key != "net.special":
                wanted = (0.7 * tensor.detach().double() + 0.3 * initial[key].detach().double())
                scale = torch.finfo(tensor.dtype).eps * (tensor.detach().double().abs() + initial[key].detach().double().abs())
                worst = max(worst, ((mixed[key].double() - wanted).abs() / scale).max().item())
            elif not tensor.is_floating_point():
                wrong += bits(mixed[key]) != bits(tensor)
        expect(f"{name}: (1 - 0.3) trained + 0.3 initial", worst <= 1 and wrong == 0, f"{worst:.2f} eps")


RUNS = {  # fusion and method: a head of each kind, and the heads beside
    "concat": ["fusion=concat"], "sum": ["fusion=sum"], "gated": ["fusion=gated"],
    "film": ["fusion=film"], "film by visual": ["fusion=film", "fusion_by=visual"],
    "auxiliary": ["method=mmpareto"], "alone": ["modalities=[visual]", "encoder.stem=small"],
}
SETTINGS = ["method=joint", "epochs=1", "batch=8", "encoder.width=16", "encoder.blocks=[2,1,1]", "kernels=fixed", "threads=1"]


def check_logits(name, run, file, work):
    subprocess.run([BUILD / "tests" / "tools" / "run_logits", run, work / "logits.safetensors"], check=True)
    ours = load_file(work / "logits.safetensors")
    model = pytorch_model.load(str(file))
    with torch.no_grad():
        theirs = model({m: ours[f"input.{m}"] for m in model.modalities})
    worst = (theirs - ours["logits"]).abs().max().item()
    expect(f"{name}: logits of {file.suffix}", worst <= LOGITS and ours["logits"].std() > 1e-3, f"{worst:.1e}")


def check_runs(work):
    relearn("synth", "--out", work / "media", "--train", 32, "--val", 16, "--test", 16, "--classes", 4, "--picture-size", 32,
            "--frames", 2, "--seed", 5)
    relearn("prepare", "manifest", "--from", work / "media", "--to", work / "store")
    for name, extra in RUNS.items():
        run, again = work / name, work / f"{name}-again"
        settings = [argument for setting in SETTINGS + extra for argument in ("--set", setting)]
        relearn("train", "--data", work / "store", "--out", run, *settings)
        for file in work / f"{name}.safetensors", work / f"{name}.pth":
            relearn("export", run, "--to", file)
            check_logits(name, run, file, work)
        relearn("import", work / f"{name}.pth", "--data", work / "store", "--out", again, *settings)
        relearn("export", again, "--to", work / "again.safetensors")
        expect(f"{name}: imported and exported again", same(load_file(work / f"{name}.safetensors"),
                                                            load_file(work / "again.safetensors")))
        check_logits(f"{name}, imported", again, work / f"{name}.pth", work)
        accuracy = [json.loads(relearn("evaluate", r, "--json")) for r in (run, again)]
        expect(f"{name}: evaluates alike", accuracy[0]["accuracy"] == accuracy[1]["accuracy"]
               and accuracy[0]["loss"] == accuracy[1]["loss"], accuracy[0]["accuracy"])


def main():
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as folder:
        check_files(pathlib.Path(folder))
        check_runs(pathlib.Path(folder))
    sys.exit(failures > 0)


main()

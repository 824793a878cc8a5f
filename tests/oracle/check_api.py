"""Runs the PyTorch example of librelearn.so, examples/pytorch_relearn.py, and compares: every alpha with `relearn diagnose` on the
same features, soft re-initialisation with PyTorch's arithmetic. RELEARN_BUILD says where the build is."""
import glob
import importlib.util
import json
import os
import pathlib
import re
import subprocess
import sys
import tempfile

import torch

BUILD = os.environ["RELEARN_BUILD"]
EXAMPLE = pathlib.Path(__file__).resolve().parents[2] / "examples" / "pytorch_relearn.py"
LIBRARY = os.path.join(BUILD, "librelearn.so")
failures = 0


def expect(what, good, figure=""):
    global failures
    failures += not good
    print("ok  " if good else "FAIL", what, figure)


def alphas_of(text):
    """{(epoch, modality): alpha} from what the example prints."""
    found, epoch = {}, 0
    for line in text.splitlines():
        if match := re.match(r"epoch (\d+): loss", line):
            epoch = int(match[1])
        elif match := re.match(r"  (\w+): purity .*, alpha (\S+)$", line):
            found[epoch, match[1]] = float(match[2])
    return found


def check_loop(folder):
    run = subprocess.run([sys.executable, EXAMPLE, "--library", LIBRARY, "--save", folder], capture_output=True, text=True,
                         check=True)
    alphas = alphas_of(run.stdout)
    expect("diagnoses of the example", len(alphas) == 6 and max(alphas.values()) > 0.1, len(alphas))
    for (epoch, name), alpha in alphas.items():
        files = [os.path.join(folder, f"{epoch}_{name}_{split}.npz") for split in ("train", "val")]
        done = subprocess.run([os.path.join(BUILD, "relearn"), "diagnose", "--train", files[0], "--val", files[1],
                               "--lambda", "3", "--json"], capture_output=True, check=True)
        theirs = json.loads(done.stdout)["modalities"][0]["alpha"]
        expect(f"alpha of epoch {epoch}, {name}", alpha == theirs, f"{alpha} {theirs}")
    expect("every diagnosis was compared", len(glob.glob(os.path.join(folder, "*.npz"))) == 2 * len(alphas))


def check_reinit():
    spec = importlib.util.spec_from_file_location("example", EXAMPLE)
    example = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(example)
    library = example.Relearn(LIBRARY)
    torch.manual_seed(1)
    encoder, first = example.make_encoder(), example.make_encoder().state_dict()
    before = {name: value.clone() for name, value in encoder.state_dict().items()}
    library.reinit(encoder, first, 0.3)
    parameters = dict(encoder.named_parameters())
    for name, after in encoder.state_dict().items():
        if name in parameters:
            wanted = 0.7 * before[name].double() + 0.3 * first[name].double()
            worst = (after.double() - wanted).abs().max().item()
            expect(f"pulled back: {name}", worst < 3e-7 and not torch.equal(after, before[name])
                   or torch.equal(before[name], first[name]), worst)
        else:  # running statistics are no parameters
            expect(f"left alone: {name}", torch.equal(after, before[name]))
    try:
        library.reinit(encoder, first, 2.0)
        expect("alpha 2 is refused", False)
    except RuntimeError as error:
        expect("alpha 2 is refused", "alpha is 2" in str(error), error)


with tempfile.TemporaryDirectory() as work:
    check_loop(work)
check_reinit()
sys.exit(failures > 0)

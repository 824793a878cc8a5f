"""PyTorch's side of step-* and eval-*: torch_network.py step|eval VARIANT THREADS BATCH SAMPLES

VARIANT is words joined by "+": default (nothing), cl (channels_last), compile (torch.compile), freeze
(compile with frozen weights: batch norm folded, weights packed), fold (batch norm folded by hand),
bf16 (autocast), bf16weights (the whole model in bf16), fpmath (convolutions may compute in bf16),
fused (fused SGD), jemalloc (preloaded by the caller).
Protocol on stdin and stdout: see Worker in bench/harness/measure.py.
"""
import json
import math
import pathlib
import re
import sys
import time

import torch
import torch.nn.functional as F
from torch import nn

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[2] / "tests" / "oracle"))
from hash_fill import hash_bits, hash_fill  # noqa: E402  # pylint: disable=wrong-import-position

CLASSES, FRAMES = 6, 2
STATE = pathlib.Path("/proc/self/status")


class Block(nn.Module):
    def __init__(self, inner, outer, stride):
        super().__init__()
        self.conv1 = nn.Conv2d(inner, outer, 3, stride, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(outer)
        self.conv2 = nn.Conv2d(outer, outer, 3, 1, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(outer)
        self.relu = nn.ReLU(inplace=True)
        self.downsample = None
        if stride != 1 or inner != outer:
            self.downsample = nn.Sequential(nn.Conv2d(inner, outer, 1, stride, bias=False), nn.BatchNorm2d(outer))

    def forward(self, x):
        y = self.bn2(self.conv2(self.relu(self.bn1(self.conv1(x)))))
        return self.relu(y + (x if self.downsample is None else self.downsample(x)))


class Tower(nn.Module):
    """ResNet-18 up to its last feature map."""

    def __init__(self, channels):
        super().__init__()
        self.conv1 = nn.Conv2d(channels, 64, 7, 2, 3, bias=False)
        self.bn1 = nn.BatchNorm2d(64)
        self.relu = nn.ReLU(inplace=True)
        self.maxpool = nn.MaxPool2d(3, 2, 1)
        inner = 64
        for stage, outer in enumerate((64, 128, 256, 512), 1):
            stride = 1 if stage == 1 else 2
            setattr(self, f"layer{stage}", nn.Sequential(Block(inner, outer, stride), Block(outer, outer, 1)))
            inner = outer

    def forward(self, x):
        x = self.maxpool(self.relu(self.bn1(self.conv1(x))))
        return self.layer4(self.layer3(self.layer2(self.layer1(x))))


class Network(nn.Module):
    def __init__(self):
        super().__init__()
        self.audio, self.visual, self.head = Tower(1), Tower(3), nn.Linear(1024, CLASSES)

    def forward(self, audio, visual):
        heard = self.audio(audio).mean((2, 3))
        seen = self.visual(visual)
        seen = seen.reshape(-1, FRAMES, *seen.shape[1:]).mean((1, 3, 4))
        return self.head(torch.cat([heard, seen], 1))


def fill(model):
    """The weights of bench/support/towers.c."""
    for name, tensor in model.state_dict().items():
        shape = tuple(tensor.shape)
        if name.endswith("num_batches_tracked"):
            continue
        scale, offset = 0.05, 0.0
        if len(shape) == 4:
            scale = math.sqrt(6.0 / (shape[0] * shape[2] * shape[3]))
        elif len(shape) == 2:
            scale = 1 / math.sqrt(shape[1])
        elif name.endswith("running_var"):
            scale, offset = 0.25, 1.0
        elif re.search(r"(bn\d|downsample\.1)\.weight$", name):
            offset = 1.0
        tensor.copy_(torch.from_numpy(hash_fill(name, shape, scale, offset)))


def fold(model):
    """Batch norm into the convolution before it, in place."""
    fuse = torch.nn.utils.fusion.fuse_conv_bn_eval
    for module in model.modules():
        for conv, norm in (("conv1", "bn1"), ("conv2", "bn2")):
            if hasattr(module, norm):
                setattr(module, conv, fuse(getattr(module, conv), getattr(module, norm)))
                setattr(module, norm, nn.Identity())
        if getattr(module, "downsample", None) is not None:
            module.downsample = nn.Sequential(fuse(*module.downsample))
    return model


def peak_kib():
    return int(re.search(r"VmHWM:\s+(\d+)", STATE.read_text(encoding="utf-8")).group(1))


def serve(ready, iteration):
    print(json.dumps(ready), flush=True)
    for line in sys.stdin:
        command, *arguments = line.split()
        if command == "reset":
            pathlib.Path("/proc/self/clear_refs").write_text("5", encoding="utf-8")
            print("{}", flush=True)
            continue
        seconds = []
        for _ in range(int(arguments[0])):
            started = time.perf_counter()
            iteration()
            seconds.append(time.perf_counter() - started)
        print(json.dumps({"seconds": seconds, "peak_rss_kib": peak_kib()}), flush=True)


def main():
    mode, variant, threads, batch, samples = sys.argv[1], sys.argv[2].split("+"), *map(int, sys.argv[3:6])
    torch.set_num_threads(threads)
    if "fpmath" in variant:
        torch.backends.mkldnn.conv.fp32_precision = "bf16"
        torch.backends.mkldnn.matmul.fp32_precision = "bf16"
    model = Network()
    with torch.no_grad():
        fill(model)
    inputs = [torch.from_numpy(hash_fill("input.audio", (batch, 1, 128, 256))),
              torch.from_numpy(hash_fill("input.visual", (batch * FRAMES, 3, 224, 224)))]
    labels = torch.from_numpy((hash_bits("labels", batch) % CLASSES).astype("int64"))
    if mode == "eval":
        model.eval()
    if "fold" in variant:
        model = fold(model)
    if "cl" in variant:
        model = model.to(memory_format=torch.channels_last)
        inputs = [value.contiguous(memory_format=torch.channels_last) for value in inputs]
    if "bf16weights" in variant:
        model, inputs = model.bfloat16(), [value.bfloat16() for value in inputs]
    network = torch.compile(model) if {"compile", "freeze"} & set(variant) else model
    autocast = torch.autocast("cpu", torch.bfloat16, enabled="bf16" in variant)

    if mode == "eval":
        @torch.inference_mode()
        def forward():
            with autocast:
                return network(*inputs)

        def iteration():
            for _ in range(samples // batch):
                forward()

        for _ in range(2):
            logits = forward()
        serve({"logits": logits[:16].float().tolist()}, iteration)
        return

    optimizer = torch.optim.SGD(model.parameters(), 2e-3, momentum=0.9, weight_decay=1e-4,
                                fused=True if "fused" in variant else None)
    last = {}

    def step():
        optimizer.zero_grad()
        with autocast:
            logits = network(*inputs)
            loss = F.cross_entropy(logits, labels)
        loss.backward()
        optimizer.step()
        last["logits"], last["loss"] = logits, loss

    losses = []
    for _ in range(3):
        step()
        losses.append(last["loss"].item())
        if len(losses) == 1:
            first = last["logits"].detach().float().tolist()
    last.clear()
    serve({"logits": first, "losses": losses}, step)


if __name__ == "__main__":
    main()

"""Makes tests/golden/data/optimizer.safetensors with PyTorch: steps of Adam and AdamW, clipped gradients, label
smoothing, learning-rate schedules. Needs numpy and torch."""
import warnings

import numpy as np
import torch
from golden_file import write
from hash_fill import hash_bits, hash_fill

warnings.filterwarnings("ignore")
BATCH, CLASSES, STEPS, COUNT = 12, 7, 8, 1000
EPOCHS, STEPS_PER_EPOCH, WARMUP, RATE = 12, 5, 3, 0.3


def gradient(step, count=COUNT, name="gradient"):
    return torch.from_numpy(hash_fill(f"optimizer.{name}.{step}", (count,)))


def value(count=COUNT, name="value"):
    return torch.nn.Parameter(torch.from_numpy(hash_fill(f"optimizer.{name}", (count,))))


def steps(make):
    w = value()
    optimizer = make([w])
    for step in range(STEPS):
        w.grad = gradient(step)
        optimizer.step()
    return w.detach().numpy()[::10]


def clipped(limit):
    a, b = value(), value(50, "other")
    optimizer = torch.optim.SGD([a, b], lr=0.05, momentum=0.9, weight_decay=0.01)
    norms = []
    for step in range(STEPS):
        a.grad, b.grad = gradient(step), gradient(step, 50, "other")
        norms.append(torch.nn.utils.clip_grad_norm_([a, b], limit).item())
        optimizer.step()
    return np.concatenate([a.detach().numpy()[::10], b.detach().numpy()]), np.array(norms)


def smoothing(share):
    logits = torch.from_numpy(hash_fill("logits", (BATCH, CLASSES), 8)).double().requires_grad_()
    labels = torch.from_numpy((hash_bits("labels", BATCH) % CLASSES).astype("int64"))
    loss = torch.nn.functional.cross_entropy(logits, labels, label_smoothing=share)
    loss.backward()
    weights = torch.from_numpy(hash_fill("weights", (BATCH,), 1, 1)).double()
    other = logits.detach().clone().requires_grad_()
    each = torch.nn.functional.cross_entropy(other, labels, label_smoothing=share, reduction="none")
    weighted = (each * weights).sum() / weights.sum()
    weighted.backward()
    return {"": loss.detach().numpy(), ".gradient": logits.grad.float().numpy(),
            ".weighted": weighted.detach().numpy(), ".weighted.gradient": other.grad.float().numpy()}


def rates(make, count):
    """Rates before each of `count` steps of a scheduler."""
    optimizer = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=RATE)
    scheduler = make(optimizer)
    result = []
    for _ in range(count):
        result.append(optimizer.param_groups[0]["lr"])
        scheduler.step()
    return np.array(result)


def schedule(make, warmup, start):
    """Warm-up by steps, then `make` by epochs; a rate for every step."""
    lr = torch.optim.lr_scheduler
    begin = rates(lambda o: lr.LinearLR(o, start_factor=start, total_iters=warmup * STEPS_PER_EPOCH),
                  warmup * STEPS_PER_EPOCH) if warmup else np.zeros(0)
    return np.concatenate([begin, np.repeat(rates(make, EPOCHS - warmup), STEPS_PER_EPOCH)])


def schedules():
    lr = torch.optim.lr_scheduler

    def step(o):
        return lr.StepLR(o, step_size=4, gamma=0.3)

    def cosine(warmup, minimum):
        return lambda o: lr.CosineAnnealingLR(o, T_max=EPOCHS - warmup, eta_min=minimum * RATE)

    return {"constant.warm": schedule(lambda o: lr.ConstantLR(o, factor=1), WARMUP, 0.1),
            "step": schedule(step, 0, 1), "step.warm": schedule(step, WARMUP, 0.25),
            "cosine": schedule(cosine(0, 0), 0, 1), "cosine.warm": schedule(cosine(WARMUP, 0.05), WARMUP, 0.01)}


def main():
    arrays = {}
    for decay in 0, 0.1:
        arrays[f"adam.{decay}"] = steps(lambda p: torch.optim.Adam(p, lr=0.02, betas=(0.8, 0.95), weight_decay=decay))
        arrays[f"adamw.{decay}"] = steps(lambda p: torch.optim.AdamW(p, lr=0.02, betas=(0.8, 0.95), weight_decay=decay))
    arrays["adam.epsilon"] = steps(lambda p: torch.optim.Adam(p, lr=0.02, eps=0.1))
    for limit in 3, 1000:
        arrays[f"clip.{limit}"], arrays[f"clip.{limit}.norms"] = clipped(limit)
    for share in 0.1, 1:
        arrays.update({f"smoothing.{share}{key}": array for key, array in smoothing(share).items()})
    arrays.update({f"schedule.{key}": array for key, array in schedules().items()})
    write("optimizer.safetensors", arrays, {"torch": torch.__version__})


main()

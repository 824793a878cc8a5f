"""Makes tests/golden/data/loss_sgd.safetensors with PyTorch: softmax cross-entropy and its gradient,
and steps of SGD. Needs numpy and torch."""
import torch
from golden_file import write
from hash_fill import hash_bits, hash_fill

BATCH, CLASSES, STEPS, COUNT = 12, 7, 6, 1000


def losses():
    logits = torch.from_numpy(hash_fill("logits", (BATCH, CLASSES), 8)).double().requires_grad_()
    labels = torch.from_numpy((hash_bits("labels", BATCH) % CLASSES).astype("int64"))
    loss = torch.nn.functional.cross_entropy(logits, labels)
    loss.backward()
    # Weights of samples, the mean taken over their sum.
    weights = torch.from_numpy(hash_fill("weights", (BATCH,), 1, 1)).double()
    other = logits.detach().clone().requires_grad_()
    each = torch.nn.functional.cross_entropy(other, labels, reduction="none")
    weighted = (each * weights).sum() / weights.sum()
    weighted.backward()
    return {"loss": loss.detach().numpy(), "loss.gradient": logits.grad.float().numpy(),
            "weighted": weighted.detach().numpy(), "weighted.gradient": other.grad.float().numpy(),
            "softmax": torch.softmax(logits.detach(), 1).float().numpy()}


def steps(momentum, weight_decay):
    w = torch.nn.Parameter(torch.from_numpy(hash_fill("sgd.value", (COUNT,))))
    optimizer = torch.optim.SGD([w], lr=0.05, momentum=momentum, weight_decay=weight_decay)
    for step in range(STEPS):
        w.grad = torch.from_numpy(hash_fill(f"sgd.gradient.{step}", (COUNT,)))
        optimizer.step()
    return w.detach().numpy()[::10]


arrays = losses()
arrays["sgd.plain"] = steps(0, 0)
arrays["sgd.decay"] = steps(0, 0.01)
arrays["sgd.momentum"] = steps(0.9, 0)
arrays["sgd.both"] = steps(0.9, 0.01)
write("loss_sgd.safetensors", arrays, {"torch": torch.__version__})

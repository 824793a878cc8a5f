"""Makes tests/golden/data/model_towers, model_mlp and model_curve.safetensors with PyTorch, for
tests/golden/test_model_golden.c. Needs numpy and torch; takes a few minutes.

towers: two ResNet-18 (audio 1 x 256 x 128, visual 2 frames of 3 x 224 x 224), concatenation, linear head. In
double: logits, gradients, weights and running statistics after 3 steps of SGD. How far PyTorch's own single
precision is from that, per tensor, is measured here and stored, and is what ours is judged by. The tensors are too
large to commit: projections on hash-made signs stand for them (see projections).

Names beginning with spread. are sizes of rounding errors, those with chaotic. follow from such errors: another CPU
or number of threads gives others (tools/oracle_compare.py knows)."""
import numpy as np
import torch
import torch.nn.functional as F
from golden_file import write
from hash_fill import hash_bits, hash_fill
from resnet import Mlp, Model, ResNet, c_name, fill_model, picture_input

VERSIONS = {"torch": torch.__version__, "numpy": np.__version__}
BATCH, CLASSES, STEPS = 4, 6, 3
SGD = {"lr": 0.0005, "momentum": 0.9, "weight_decay": 1e-4}
GRADIENT_PROJECTIONS, OTHER_PROJECTIONS = 64, 32


def labels(name, count, classes):
    return torch.from_numpy((hash_bits(name, count) % classes).astype(np.int64))


def projections(name, array, number):
    """double [number]. For independent signs E[(p . d)^2] = |d|^2, whatever d: from p . a and p . b the
    distance |a - b| is estimated without a or b at hand, with a relative deviation of sqrt(1 / (2 number))."""
    flat, out = array.ravel(), np.zeros(number)
    for first in range(0, flat.size, 1 << 18):
        part = flat[first:first + (1 << 18)]
        bits = hash_bits(f"{name}.signs", part.size, first)
        for k in range(number):
            out[k] += np.where((bits >> np.uint64(k)) & np.uint64(1), part, -part).sum()
    return out


# --- two ResNet-18 towers ---


def tower_run(dtype, memory_format=torch.contiguous_format, library=True, autocast=False, steps=STEPS):
    torch.backends.mkldnn.enabled = library
    model = Model({"audio": ResNet(1), "visual": ResNet(3)}, CLASSES)
    fill_model(model)
    model = model.to(dtype).to(memory_format=memory_format)
    inputs = {"audio": picture_input("input.audio", BATCH, 1, 1, 256, 128).to(dtype),
              "visual": picture_input("input.visual", BATCH, 2, 3, 224, 224).to(dtype)}
    target = labels("labels", BATCH, CLASSES)
    start = {c_name(n): p.detach().double().numpy().copy() for n, p in model.named_parameters()}
    optimizer = torch.optim.SGD(model.parameters(), **SGD)
    result = {"losses": []}
    for step in range(steps):
        optimizer.zero_grad()
        with torch.autocast("cpu", torch.bfloat16, enabled=autocast):
            logits = model(inputs).to(dtype)
        loss = F.cross_entropy(logits, target)
        loss.backward()
        result["losses"].append(loss.item())
        if step == 0:
            result["logits"] = logits.detach().double().numpy()
            result["gradient"] = {c_name(n): p.grad.double().numpy().copy() for n, p in model.named_parameters()}
        optimizer.step()
    result["update"] = {c_name(n): p.detach().double().numpy() - start[c_name(n)]
                        for n, p in model.named_parameters()}
    result["buffer"] = {c_name(n): b.double().numpy().copy() for n, b in model.named_buffers()
                        if "running" in n}
    model.eval()
    with torch.no_grad():
        result["eval_logits"] = model(inputs).double().numpy()
    return result


def distance(a, b):
    return np.linalg.norm((a - b).ravel())


def make_towers():
    exact = tower_run(torch.float64)
    # PyTorch's ways of computing in single precision. One way's error is partly luck: whether a sum that is nearly
    # zero falls on the other side of a ReLU. So the root mean square of all is taken.
    singles = [tower_run(torch.float32), tower_run(torch.float32, torch.channels_last),
               tower_run(torch.float32, library=False)]
    arrays = {key: np.asarray(exact[key]) for key in ("logits", "eval_logits", "losses")}
    print("largest difference of PyTorch's single from double:",
          {key: max(float(np.abs(s[key] - exact[key]).max()) for s in singles) for key in ("logits", "eval_logits")})
    for kind, number in (("gradient", GRADIENT_PROJECTIONS), ("update", OTHER_PROJECTIONS),
                         ("buffer", OTHER_PROJECTIONS)):
        shares = []
        for name, value in exact[kind].items():
            own = np.sqrt(np.mean([distance(s[kind][name], value) ** 2 for s in singles]))
            norm = np.linalg.norm(value.ravel())
            shares.append(own / norm)
            arrays[f"{kind}.{name}"] = np.concatenate([[norm], projections(name, value, number)])
            arrays[f"spread.{kind}.{name}"] = np.asarray(own)
        print(f"{kind}: {len(shares)} tensors, PyTorch's single is off by {np.median(shares):.2e} "
              f"(median), {min(shares):.2e} to {max(shares):.2e}; each way:",
              [f"{np.median([distance(s[kind][n], v) / np.linalg.norm(v.ravel()) for n, v in exact[kind].items()]):.2e}"
               for s in singles])
    write("model_towers.safetensors", arrays, VERSIONS)


# --- two MLPs: small enough to compare everything ---


def make_mlp():
    model = Model({"text": Mlp(20, [24, 16]), "sensor": Mlp(33, [9])}, 5)
    fill_model(model)
    model = model.double()
    inputs = {"text": torch.from_numpy(hash_fill("input.text", (7, 20))).double(),
              "sensor": torch.from_numpy(hash_fill("input.sensor", (7, 33))).double()}
    logits = model(inputs)
    loss = F.cross_entropy(logits, labels("labels", 7, 5))
    loss.backward()
    arrays = {"logits": logits.detach().numpy(), "loss": np.asarray(loss.item())}
    for name, parameter in model.named_parameters():
        arrays[f"gradient.{c_name(name)}"] = parameter.grad.numpy()
    write("model_mlp.safetensors", arrays, VERSIONS)


# --- 200 steps of a small ResNet ---

CURVE_STEPS, CURVE_BATCH, CURVE_BATCHES, CURVE_RUNS = 200, 16, 4, 12


def curve_data():
    pictures = picture_input("curve", CURVE_BATCH * CURVE_BATCHES, 1, 3, 32, 32)
    return pictures, labels("curve.labels", CURVE_BATCH * CURVE_BATCHES, 4)


def curve_run(noise_seed, dtype=torch.float32):
    model = Model({"picture": ResNet(3, (1, 1, 1), 16, small_stem=True)}, 4)
    fill_model(model)
    if noise_seed is not None:
        generator = torch.Generator().manual_seed(noise_seed)
        with torch.no_grad():
            for parameter in model.parameters():
                parameter += 1e-6 * torch.randn(parameter.shape, generator=generator)
    model = model.to(dtype)
    pictures, target = curve_data()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.01, momentum=0.9, weight_decay=1e-4)
    curve = []
    for step in range(CURVE_STEPS):
        part = slice(step % CURVE_BATCHES * CURVE_BATCH, (step % CURVE_BATCHES + 1) * CURVE_BATCH)
        optimizer.zero_grad()
        loss = F.cross_entropy(model({"picture": pictures[part].to(dtype)}), target[part])
        loss.backward()
        optimizer.step()
        curve.append(loss.item())
    return np.array(curve)


def make_curve():
    curves = np.stack([curve_run(seed) for seed in range(CURVE_RUNS)])
    mean = curves.mean(0)
    deviation = np.abs(curves - mean).max(0)
    # The largest deviation of any run within 5 steps: a dozen runs leave gaps at single steps.
    envelope = np.array([deviation[max(0, t - 5):t + 6].max() for t in range(CURVE_STEPS)])
    for t in (0, 1, 5, 20, 50, 100, 150, 199):
        print(f"step {t}: loss {mean[t]:.6f}, envelope {envelope[t]:.2e}")
    write("model_curve.safetensors", {"chaotic.mean": mean, "spread.envelope": envelope}, VERSIONS)


if __name__ == "__main__":
    torch.set_num_threads(1)
    make_mlp()
    make_curve()
    make_towers()

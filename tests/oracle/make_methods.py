"""Makes tests/golden/data/methods.safetensors with PyTorch in double: what one step of OGM-GE and MMPareto does to the
gradients of small networks, by their papers' formulas; and forward and gradients of every fusion.
tests/golden/test_methods_golden.c drives our trainer to the same step. Needs numpy and torch."""
import numpy as np
import torch
import torch.nn.functional as F
from golden_file import write
from resnet import Mlp, Model, c_name, fill_model
from hashed_data import split

torch.set_num_threads(1)
CLASSES, SAMPLES = 5, 12
HIDDEN = {"text": [8, 6], "sensor": [5], "motion": [6]}
MODALITIES = [("text", 10, 0.5), ("sensor", 13, 1.0), ("motion", 7, 2.0)]


def make(count, fusion="concat", auxiliary=False):
    chosen = MODALITIES[:count]
    model = Model({name: Mlp(width, HIDDEN[name]) for name, width, _ in chosen}, CLASSES, fusion, auxiliary)
    fill_model(model)
    inputs, labels = split(chosen, 0, SAMPLES, CLASSES)
    return model.double(), {name: x.double() for name, x in inputs.items()}, labels


def gradients(loss, model):
    """name -> gradient; zero where the loss does not reach."""
    found = torch.autograd.grad(loss, list(model.parameters()), retain_graph=True, allow_unused=True)
    return {c_name(n): torch.zeros_like(p) if g is None else g
            for (n, p), g in zip(model.named_parameters(), found)}


def put(arrays, case, result):
    for name, gradient in result.items():
        arrays[f"{case}.gradient.{name}"] = gradient.numpy()


def ogm(arrays, case, count, fusion, alpha):
    """Eq. 8 to 10 of OGM-GE; with more than two modalities the score of one against the mean of the others."""
    model, inputs, labels = make(count, fusion)
    features = model.features(inputs)
    result = gradients(F.cross_entropy(model.head(features), labels), model)
    rows = torch.arange(SAMPLES)
    scores = {name: torch.softmax(part, 1)[rows, labels].sum().item()
              for name, part in model.head.parts(features).items()}
    numbers = []
    for name in features:
        others = [s for other, s in scores.items() if other != name]
        ratio = scores[name] / np.mean(others)
        coefficient = 1 - np.tanh(alpha * ratio) if ratio > 1 else 1.0
        numbers += [ratio, coefficient]
        for key in result:
            if key.startswith(name + "."):
                arrays[f"{case}.deviation.{key}"] = np.asarray(result[key].std().item())
                result[key] = result[key] * coefficient
    print(case, dict(zip(features, zip(numbers[::2], numbers[1::2]))))
    arrays[f"{case}.numbers"] = np.array(numbers)
    put(arrays, case, result)


def least_norm(g, u):
    """c in [0, 1] that makes |c g + (1 - c) u| least, found by trying: what the closed form must equal."""
    low, high = 0.0, 1.0
    for _ in range(200):
        a, b = low + (high - low) / 3, high - (high - low) / 3
        if (a * g + (1 - a) * u).norm() < (b * g + (1 - b) * u).norm():
            high = b
        else:
            low = a
    return (low + high) / 2


def mmpareto(arrays, rescale, gamma):
    case = f"mmpareto_{rescale}"
    model, inputs, labels = make(3, auxiliary=True)
    with torch.no_grad():  # an auxiliary head that wants something else than the joint one
        model.auxiliary["text"].weight -= model.head.weight[:, :HIDDEN["text"][-1]]
    features = model.features(inputs)
    result = gradients(F.cross_entropy(model.head(features), labels), model)
    numbers = []
    for name in features:
        own = gradients(F.cross_entropy(model.auxiliary[name](features[name]), labels), model)
        keys = [key for key in result if key.startswith(name + ".")]
        g, u = (torch.cat([grads[key].flatten() for key in keys]) for grads in (result, own))
        cosine = F.cosine_similarity(g, u, dim=0).item()
        share = 0.5 if cosine >= 0 else least_norm(g, u)
        numbers += [cosine, share]

        def scale(total, combined):
            return max(1.0, (total.norm() / combined.norm()).item())

        whole = scale(g + u, 2 * (share * g + (1 - share) * u))
        for key in keys:
            combined = 2 * (share * result[key] + (1 - share) * own[key])
            factor = {"encoder": whole, "tensor": scale(result[key] + own[key], combined), "none": 1.0}[rescale]
            result[key] = gamma * factor * combined
        for key in own:
            if key.startswith(f"auxiliary.{name}."):
                result[key] = own[key]
    print(case, dict(zip(features, zip(numbers[::2], numbers[1::2]))))
    assert min(numbers[::2]) < -0.05 and max(numbers[::2]) > 0.05, "a conflict and an agreement are wanted"
    arrays[f"{case}.numbers"] = np.array(numbers)
    put(arrays, case, result)


def fusion(arrays, name, count):
    model, inputs, labels = make(count, name)
    logits = model(inputs)
    loss = F.cross_entropy(logits, labels)
    arrays[f"fusion_{name}.logits"] = logits.detach().numpy()
    put(arrays, f"fusion_{name}", gradients(loss, model))


def main():
    arrays = {}
    ogm(arrays, "ogm_two", 2, "concat", 0.8)
    ogm(arrays, "ogm_three", 3, "concat", 0.3)
    ogm(arrays, "ogm_sum", 3, "sum", 0.8)
    for rescale in ("encoder", "tensor", "none"):
        mmpareto(arrays, rescale, 1.5 if rescale == "encoder" else 1.0)
    fusion(arrays, "sum", 3)
    fusion(arrays, "gated", 2)
    fusion(arrays, "film", 2)
    write("methods.safetensors", arrays, {"torch": torch.__version__, "numpy": np.__version__})


if __name__ == "__main__":
    main()

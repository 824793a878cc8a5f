"""Makes tests/golden/data/run.safetensors with PyTorch and scikit-learn: a whole run of Diagnosing & Re-learning, step
by step as the paper and its code have it, of a picture tower (ResNet) and a vector tower (MLP), with two
re-initialisations. tests/golden/test_run_golden.c lets the real trainer make the same run.

Weights and data are hashed (hash_fill.py, hashed_data.py); the order of batches and the random numbers of k-means++
come from the same streams as ours (philox.py). The run is made in double. How far PyTorch's own single precision ends
from it is stored per tensor (spread.*) and is what ours is judged by. Needs numpy, torch and scikit-learn."""
import numpy as np
import torch
import torch.nn.functional as F
from golden_file import write
from hashed_data import split
from philox import KMEANS, SHUFFLE, Stream
from resnet import Mlp, Model, ResNet, c_name, fill_model
from sklearn import __version__ as sklearn_version
from sklearn.cluster import KMeans
from sklearn.preprocessing import MinMaxScaler

torch.set_num_threads(1)
SEED, CLASSES, TRAIN, VAL, BATCH, EPOCHS = 0, 4, 64, 24, 16, 6
PERIOD, TIMES, LAMBDA, N_INIT = 2, 2, 3.0, 3
MODALITIES = [("picture", 8, None), ("vector", 12, 2.0)]
SGD = {"lr": 0.05, "momentum": 0.9, "weight_decay": 1e-4}


def plus_plus(x, stream):
    """Indices of the greedy k-means++ centres, x [samples][dims]."""
    def distances(i):
        return ((x - x[i]) ** 2).sum(1)

    chosen = [stream.below(len(x))]
    closest = distances(chosen[0])
    while len(chosen) < CLASSES:
        best = None
        for _ in range(2 + int(np.log(CLASSES))):
            reach = stream.uniform() * closest.sum()
            candidate = min(int(np.searchsorted(np.cumsum(closest), reach, side="right")), len(x) - 1)
            after = np.minimum(closest, distances(candidate))
            if best is None or after.sum() < best[1].sum():
                best = candidate, after
        chosen.append(best[0])
        closest = best[1]
    return chosen


def same_clusters(a, b):
    return all(len(set(b[a == c])) == 1 for c in set(a))


def cluster(x, index):
    """Labels of the best of N_INIT runs of scikit-learn's k-means, each from its own k-means++ centres."""
    best, margin = None, np.inf
    for restart in range(N_INIT):
        centers = x[plus_plus(x, Stream(SEED, KMEANS, restart, index))]
        fit = KMeans(CLASSES, init=centers, n_init=1, max_iter=300, tol=1e-4, algorithm="lloyd").fit(x)
        if best is not None and same_clusters(fit.labels_, best.labels_):
            continue
        if best is not None:
            margin = min(margin, abs(fit.inertia_ / best.inertia_ - 1))
        if best is None or fit.inertia_ < best.inertia_:
            best = fit
    assert margin > 1e-4, "two restarts are as good as each other: their choice would hang on rounding"
    return best.labels_, best.inertia_


def purity(clusters, labels):
    return sum(np.bincount(labels[clusters == c]).max() for c in set(clusters)) / len(labels)


def features_of(model, inputs):
    model.eval()
    with torch.no_grad():
        return {name: f.numpy() for name, f in model.features(inputs).items()}


def diagnose(model, splits, result, epoch):
    """alpha of every modality."""
    alphas = {}
    found = [(features_of(model, inputs), labels.numpy()) for inputs, labels in splits]
    for m, name in enumerate(found[0][0]):
        purities = []
        for s, (features, labels) in enumerate(found):
            scaled = MinMaxScaler((-1, 1)).fit_transform(features[name])
            clusters, inertia = cluster(scaled, m * 2 + s)
            purities.append(purity(clusters, labels))
            result[f"clusters.{epoch}.{name}.{s}"] = clusters.astype(np.float64)
            result[f"inertia.{epoch}.{name}.{s}"] = np.asarray(float(inertia))
        alphas[name] = np.tanh(LAMBDA * abs(purities[0] - purities[1]))
        result[f"diagnosis.{epoch}.{name}"] = np.array(purities + [alphas[name]])
    return alphas


def relearn(model, initial, alphas):
    with torch.no_grad():
        for name, parameter in model.encoders.named_parameters():
            alpha = alphas[name.split(".")[0]]
            parameter.copy_((1 - alpha) * parameter + alpha * initial[name])


def train_epoch(model, optimizer, inputs, labels, epoch, losses):
    model.train()
    order = Stream(SEED, SHUFFLE, epoch, 0).permutation(TRAIN)
    for first in range(0, TRAIN, BATCH):
        chosen = order[first:first + BATCH]
        optimizer.zero_grad()
        loss = F.cross_entropy(model({name: x[chosen] for name, x in inputs.items()}), labels[chosen])
        loss.backward()
        optimizer.step()
        losses.append(loss.item())


def validate(model, inputs, labels):
    model.eval()
    with torch.no_grad():
        logits = model(inputs)
    return [(logits.argmax(1) == labels).double().mean().item(), F.cross_entropy(logits, labels).item()]


def run(dtype, library=True):
    torch.backends.mkldnn.enabled = library
    model = Model({"picture": ResNet(3, (1,), 16, small_stem=True), "vector": Mlp(12, [10])}, CLASSES)
    fill_model(model)
    model = model.to(dtype)
    initial = {name: p.detach().clone() for name, p in model.encoders.named_parameters()}
    splits = [({name: x.to(dtype) for name, x in inputs.items()}, labels)
              for inputs, labels in (split(MODALITIES, 0, TRAIN, CLASSES), split(MODALITIES, TRAIN, VAL, CLASSES))]
    optimizer = torch.optim.SGD(model.parameters(), **SGD)
    result, losses, validations, done = {}, [], [], 0
    for epoch in range(EPOCHS):
        train_epoch(model, optimizer, *splits[0], epoch, losses)
        validations += validate(model, *splits[1])
        if epoch > 0 and epoch % PERIOD == 0 and done < TIMES:
            relearn(model, initial, diagnose(model, splits, result, epoch))
            done += 1
    result["losses"], result["validations"] = np.array(losses), np.array(validations)
    result.update({f"weights.{c_name(n)}": p.detach().double().numpy() for n, p in model.named_parameters()})
    result.update({f"buffers.{c_name(n)}": b.double().numpy() for n, b in model.named_buffers() if "running" in n})
    return result


def main():
    exact = run(torch.float64)
    singles = [run(torch.float32), run(torch.float32, library=False)]
    arrays = dict(exact)
    for key, value in exact.items():
        away = [np.abs(single[key] - value) for single in singles]
        if key.startswith(("clusters", "diagnosis")):
            assert max(a.max() for a in away) < 1e-6, f"{key} hangs on rounding: {[s[key] for s in singles]} {value}"
        if key.startswith("diagnosis"):
            print(key, value)
        if key.startswith(("weights", "buffers")):
            own = np.sqrt(np.mean([(a ** 2).sum() for a in away]))
            arrays[f"spread.{key}"] = np.asarray(own)
            print(f"{key}: PyTorch's single is off by {own / np.linalg.norm(value):.2e}")
    print("losses", exact["losses"][:: TRAIN // BATCH], "off by",
          max(np.abs(s["losses"] - exact["losses"]).max() for s in singles))
    print("validations", exact["validations"], "off by",
          max(np.abs(s["validations"] - exact["validations"]).max() for s in singles))
    write("run.safetensors", arrays,
          {"torch": torch.__version__, "numpy": np.__version__, "sklearn": sklearn_version})


if __name__ == "__main__":
    main()

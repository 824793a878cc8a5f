"""Makes tests/golden/data/kmeans.json with scikit-learn: k-means from given centres, inertia of
seeded runs, purity, min-max scaling. Run from the repository root; needs numpy and scikit-learn."""
import json
import os
import warnings

import numpy as np
import sklearn
from sklearn.cluster import KMeans
from sklearn.metrics.cluster import contingency_matrix
from sklearn.preprocessing import MinMaxScaler

PATH = os.path.join(os.path.dirname(__file__), "..", "golden", "data", "kmeans.json")


def integer_hash(x):
    """The hash of tests/golden/test_kmeans_golden.c, on uint64 arrays holding 32-bit values."""
    x = np.asarray(x, dtype=np.uint64)
    mask = np.uint64(0xFFFFFFFF)
    x = ((x ^ (x >> np.uint64(16))) * np.uint64(0x7FEB352D)) & mask
    x = ((x ^ (x >> np.uint64(15))) * np.uint64(0x846CA68B)) & mask
    return x ^ (x >> np.uint64(16))


def uniform(index):
    return integer_hash(index) / 4294967296.0


def hashed_data(samples, dims, clusters):
    """Weak clusters: noise of width 2, centres of width 1 (hashed_data in the C test)."""
    cluster = integer_hash(np.arange(samples) + 0x20000000) % np.uint64(clusters)
    noise = uniform(np.arange(samples * dims).reshape(samples, dims)) * 2
    at = cluster.astype(np.int64)[:, None] * dims + np.arange(dims) + 0x10000000
    return (noise + uniform(at)).astype(np.float32)


def lists(array):
    return [float(f"{v:.9g}") for v in np.asarray(array, dtype=np.float32).ravel()]


def case(name, features, centers, any_order=False):
    features = np.asarray(features, dtype=np.float32)
    centers = np.asarray(centers, dtype=np.float32)
    fits = []
    for dtype in (np.float32, np.float64):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # fewer distinct clusters than asked for
            fits.append(KMeans(len(centers), init=centers.astype(dtype), n_init=1)
                        .fit(features.astype(dtype)))
    # Only cases whose answer does not hang on rounding are worth comparing.
    assert (fits[0].labels_ == fits[1].labels_).all(), name
    counts = np.bincount(fits[1].labels_, minlength=len(centers))
    first = ((features[:, None, :].astype(np.float64) - centers) ** 2).sum(-1).argmin(1)
    print(f"{name}: iterations {fits[1].n_iter_}, sizes {counts.tolist()}, "
          f"empty at first {len(centers) - len(set(first))}")
    return {
        "name": name, "samples": len(features), "dims": features.shape[1],
        "clusters": len(centers), "any_order": any_order, "features": lists(features),
        "initial_centers": lists(centers), "labels": fits[1].labels_.tolist(),
        "centers": lists(fits[1].cluster_centers_), "inertia": float(fits[1].inertia_),
        "iterations": int(fits[1].n_iter_),
    }


def coarse(values):
    """Multiples of 1/64: exact in float32 and short in the file."""
    return np.round(np.asarray(values) * 64) / 64


def cases(random):
    blobs = coarse(random.normal(size=(100, 6)) + 4 * random.normal(size=(5, 6))[np.arange(100) % 5])
    weak = coarse(random.normal(size=(120, 8)))
    far = weak[:6].copy()
    far[2] += 50
    two_far = weak[:6].copy()
    two_far[1] += 40
    two_far[4] -= 60
    distinct = coarse(random.normal(size=(3, 4)))
    copies = distinct[np.arange(30) % 3]
    return [
        case("blobs", blobs, blobs[[3, 4, 8, 13, 22]]),
        case("weak", weak, weak[:7]),
        case("offset", blobs + 1000, blobs[:5] + 1000),
        case("empty", weak, far),
        case("two_empty", weak, two_far, any_order=True),
        case("duplicates", np.repeat(weak[:20], 4, axis=0), weak[:4]),
        case("same_centers", weak[:60], weak[[0, 0, 1, 2]]),
        case("fewer_distinct", copies, np.vstack([distinct, distinct[:1]])),
        case("one_cluster", weak[:30], weak[:1]),
        case("one_column", weak[:40, :1], weak[:3, :1]),
    ]


def seeded():
    samples, dims, clusters = 1500, 24, 10
    data = hashed_data(samples, dims, clusters)
    inertias = [KMeans(clusters, n_init=10, random_state=s).fit(data.astype(np.float64)).inertia_
                for s in range(10)]
    print("seeded inertias", min(inertias), float(np.median(inertias)), max(inertias))
    return {"samples": samples, "dims": dims, "clusters": clusters,
            "sum": float(data.astype(np.float64).sum()),
            "median_inertia": float(np.median(inertias))}


def purities(random):
    result = []
    for samples, clusters, classes in ((50, 4, 4), (37, 6, 3), (64, 2, 9), (5, 1, 5)):
        assignments = random.integers(0, clusters, samples)
        labels = random.integers(0, classes, samples)
        table = contingency_matrix(labels, assignments)  # [classes][clusters]
        result.append({"clusters": clusters, "classes": classes,
                       "assignments": assignments.tolist(), "labels": labels.tolist(),
                       "purity": float(table.max(axis=0).sum() / samples)})
    return result


def scaling(random):
    features = random.normal(size=(12, 6)).astype(np.float32)
    features[:, 1] = 0.3  # constant
    features[:, 2] = 0
    features[:, 3] += 1000
    features[:, 4] *= 1e-9  # a range under 10 epsilons counts as constant
    features[:, 5] *= 1e30
    scaled = MinMaxScaler(feature_range=(-1, 1)).fit_transform(features)
    assert scaled.dtype == np.float32
    return {"samples": 12, "dims": 6, "features": lists(features), "scaled": lists(scaled)}


def main():
    print("numpy", np.__version__, "scikit-learn", sklearn.__version__)
    random = np.random.default_rng(7)
    golden = {
        "numpy": np.__version__, "scikit_learn": sklearn.__version__, "cases": cases(random),
        "seeded": seeded(), "purity": purities(random), "scaling": scaling(random),
    }
    with open(PATH, "w", encoding="utf-8") as file:
        json.dump(golden, file)
        file.write("\n")
    print(os.path.getsize(PATH), "bytes")


if __name__ == "__main__":
    main()

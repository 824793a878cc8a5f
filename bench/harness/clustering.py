"""kmeans: ours against scikit-learn, 10 restarts, on features like those of a diagnosis."""
import statistics
import sys

import numpy as np

from harness.measure import Worker, check, finish, interleave, note

DIMS = 512
# Samples and clusters of CREMA-D's and Kinetics-Sounds' training splits.
SIZES = [(6000, 6), (20000, 31)]
ITERATIONS = {6000: 3, 20000: 1}  # of a block
ALGORITHMS = ["lloyd", "elkan"]


def features(settings, samples, clusters, weak):
    """Path of a .npy: clusters far apart and scaled to [-1, 1], or behind a ReLU and close to each other."""
    path = settings.data / f"features-{samples}-{clusters}{'-weak' if weak else ''}.npy"
    if path.exists():
        return str(path)
    random = np.random.default_rng(0)
    centers = random.normal(size=(clusters, DIMS)) * (0.1 if weak else 0.5)
    values = centers[random.integers(0, clusters, samples)] + random.normal(size=(samples, DIMS))
    if weak:
        values = np.maximum(values, 0)
    low, high = values.min(0), values.max(0)
    np.save(path, (2 * (values - low) / (high - low) - 1).astype(np.float32))
    return str(path)


def start_sklearn(settings, path, clusters, algorithm):
    return Worker(f"scikit-learn {algorithm}",
                  [sys.executable, str(settings.root / "bench" / "peers" / "sklearn_kmeans.py"), path, str(clusters),
                   algorithm], {"OMP_NUM_THREADS": str(settings.threads), "OPENBLAS_NUM_THREADS": str(settings.threads)})


def start_ours(settings, path, clusters):
    return Worker("relearn", [settings.program("kmeans"), "--features", path, "--clusters", str(clusters), "--threads",
                              str(settings.threads)])


def fastest(settings, path, clusters):
    seconds = {}
    for algorithm in ALGORITHMS:
        with start_sklearn(settings, path, clusters, algorithm) as peer:
            seconds[algorithm] = peer.run(1).seconds
    return min(seconds, key=seconds.get)


def one_size(settings, samples, clusters, weak):
    path = features(settings, samples, clusters, weak)
    algorithm = fastest(settings, path, clusters)
    inertia = {"ours": [], "peer": []}

    def run(worker, name):
        block = worker.run(ITERATIONS[samples])
        inertia[name].append(block.answer["account"]["inertia"])
        return block

    with start_ours(settings, path, clusters) as ours, start_sklearn(settings, path, clusters, algorithm) as peer:
        comparison = interleave(settings, lambda: run(ours, "ours"), lambda: run(peer, "peer"))
    excess = statistics.mean(inertia["ours"]) / statistics.mean(inertia["peer"]) - 1
    return comparison, algorithm, excess


def kmeans(name, settings):
    """The headline is the size with the smallest ratio."""
    rows, checks = {}, {}
    for samples, clusters in SIZES:
        for weak in (False, True):
            label = f"{samples} x {DIMS}, {clusters} clusters{', weak' if weak else ''}"
            comparison, algorithm, excess = one_size(settings, samples, clusters, weak)
            rows[label] = (comparison, algorithm)
            # Mean of the best inertia over the rounds' seeds: the same or lower, but for local optima's luck.
            checks[f"inertia over the peer's, {label}"] = check(excess, 1e-3)
            note(f"  {label}: ratio {comparison.ratio:.2f} ({algorithm})")
    worst = min(rows, key=lambda label: rows[label][0].ratio)
    comparison, algorithm = rows[worst]
    details = {label: {"ours": round(statistics.median(row.seconds("ours")), 4),
                       "peer": round(statistics.median(row.seconds("peer")), 4), "ratio": round(row.ratio, 3),
                       "cpu_seconds": row.cpu_seconds(), "algorithm": kind}
               for label, (row, kind) in rows.items()}
    return finish(name, settings, ours=comparison.seconds("ours"), peer=comparison.seconds("peer"),
                  ratios=comparison.ratios, ratio=comparison.ratio, peer_name=f"scikit-learn {algorithm}, {worst}",
                  unit="seconds", goal=3.0, checks=checks, details=details,
                  foreign=[value for row, _ in rows.values() for value in row.foreign],
                  trusted=all(row.trusted for row, _ in rows.values()))


BENCHMARKS = {"kmeans": kmeans}

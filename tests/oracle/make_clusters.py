"""Makes tests/golden/data/clusters.safetensors with scikit-learn: purity, NMI, ARI, silhouette and the purity of every class of
given clusters, degenerate ones among them. A silhouette that scikit-learn refuses to compute is NaN."""
import numpy as np
import sklearn
from sklearn import metrics
from sklearn.metrics.cluster import contingency_matrix

import golden_file


def silhouette(features, clusters):
    try:
        return metrics.silhouette_score(features.astype(np.float64), clusters)
    except ValueError:  # one cluster, or as many as samples
        return np.nan


def class_purity(labels, clusters, classes):
    """Of each class: the share of its samples in clusters whose largest class, the lowest of equals, it is."""
    table = contingency_matrix(labels, clusters)  # [labels that occur][clusters that occur]
    seen, purity = np.unique(labels), np.full(classes, np.nan)
    purity[seen] = 0
    for cluster in table.T:
        largest = cluster.argmax()
        purity[seen[largest]] += cluster[largest] / table[largest].sum()
    return purity


def measure(name, features, clusters, labels, cluster_count, class_count):
    features = np.asarray(features, dtype=np.float32)
    clusters, labels = np.asarray(clusters), np.asarray(labels)
    table = contingency_matrix(labels, clusters)
    values = [table.max(axis=0).sum() / len(labels), metrics.normalized_mutual_info_score(labels, clusters),
              metrics.adjusted_rand_score(labels, clusters), silhouette(features, clusters)]
    print(name, features.shape, np.round(values, 4).tolist())
    return {
        f"{name}.shape": np.array([*features.shape, cluster_count, class_count], dtype=np.float64),
        f"{name}.features": features,
        f"{name}.clusters": clusters.astype(np.float64),
        f"{name}.labels": labels.astype(np.float64),
        f"{name}.measures": np.array(values),
        f"{name}.class_purity": class_purity(labels, clusters, class_count),
    }


def cases(random):
    def noise(samples, dims, scale=1.0):
        return scale * random.normal(size=(samples, dims))

    def draw(samples, count):
        return random.integers(0, count, samples)

    clusters = draw(150, 6)
    labels = np.where(random.random(150) < 0.7, clusters, draw(150, 6))
    centers = random.normal(size=(6, 12))
    yield "blobs", noise(150, 12, 0.4) + centers[clusters], clusters, labels, 6, 6
    yield "random", noise(120, 37), draw(120, 5), draw(120, 8), 5, 8
    yield "wide", noise(20, 300) + 100, draw(20, 3), draw(20, 3), 3, 3
    yield "equal", noise(60, 4), clusters[:60], clusters[:60], 6, 6
    yield "renamed", noise(60, 4), 5 - clusters[:60], clusters[:60], 6, 6
    yield "one_class", noise(30, 3), draw(30, 4), np.zeros(30, dtype=int), 4, 1
    yield "one_cluster", noise(30, 3), np.zeros(30, dtype=int), draw(30, 4), 1, 4
    yield "one_of_each", noise(30, 3), np.zeros(30, dtype=int), np.zeros(30, dtype=int), 1, 1
    yield "empty_cluster", noise(50, 5), 2 * draw(50, 3), draw(50, 4), 7, 4
    yield "empty_class", noise(50, 5), draw(50, 4), 1 + 2 * draw(50, 3), 4, 7
    yield "each_alone", noise(9, 2), np.arange(9), draw(9, 3), 9, 3
    yield "some_alone", noise(12, 2), [0, 0, 0, 0, 1, 1, 1, 1, 1, 2, 3, 4], draw(12, 3), 5, 3
    yield "copies", np.repeat(noise(6, 4), 8, axis=0), np.repeat(np.arange(6), 8), draw(48, 6), 6, 6
    yield "copies_across", np.repeat(noise(3, 4), 8, axis=0), draw(24, 4), draw(24, 3), 4, 3
    yield "ties", noise(40, 3), np.repeat(np.arange(5), 8), np.tile([2, 1, 2, 1, 0, 3, 0, 3], 5), 5, 4
    yield "one_sample", noise(1, 3), [0], [1], 2, 3
    yield "two_samples", noise(2, 3), [0, 1], [1, 0], 2, 2
    yield "discordant", noise(4, 2), [0, 1, 0, 1], [0, 0, 1, 1], 2, 2


def main():
    arrays = {}
    for name, features, clusters, labels, cluster_count, class_count in cases(np.random.default_rng(5)):
        arrays.update(measure(name, features, clusters, labels, cluster_count, class_count))
    golden_file.write("clusters.safetensors", arrays,
                      {"scikit_learn": sklearn.__version__, "numpy": np.__version__})


main()

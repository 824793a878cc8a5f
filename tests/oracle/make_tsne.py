"""Makes tests/golden/data/tsne.safetensors with scikit-learn: conditional probabilities of given squared distances, and the
Kullback-Leibler divergence that its exact t-SNE reaches on given features, from five starts."""
import numpy as np
import sklearn
from sklearn.datasets import load_digits
from sklearn.manifold import TSNE, _utils

import golden_file

STARTS = 5


def neighbours(name, distances, perplexity):
    """distances [samples][neighbours]: more samples than neighbours, or scikit-learn takes the diagonal for each one itself."""
    distances = np.asarray(distances, dtype=np.float32)
    expected = _utils._binary_search_perplexity(distances, perplexity, 0)
    return {
        f"{name}.shape": np.array([*distances.shape, perplexity], dtype=np.float64),
        f"{name}.distances": distances,
        f"{name}.probabilities": np.asarray(expected, dtype=np.float64),
    }


def embedding(name, features, perplexity):
    features = np.asarray(features, dtype=np.float32)
    reached = [TSNE(perplexity=perplexity, method="exact", init="pca" if start == 0 else "random",
                    random_state=start).fit(features).kl_divergence_ for start in range(STARTS)]
    print(name, features.shape, np.round(reached, 4).tolist())
    return {
        f"{name}.shape": np.array([*features.shape, perplexity], dtype=np.float64),
        f"{name}.features": features,
        f"chaotic.{name}.divergences": np.array(reached),
    }


def main():
    random = np.random.default_rng(20261129)
    arrays = {}
    arrays |= neighbours("near", random.gamma(4, 1, (40, 31)), 10)
    arrays |= neighbours("far", 1e4 + random.gamma(4, 100, (40, 31)), 10)
    arrays |= neighbours("few", random.gamma(2, 5, (16, 13)), 4)
    arrays |= neighbours("equal", np.full((41, 40), 2.5), 10)
    arrays |= neighbours("copies", np.where(random.random((60, 45)) < 0.3, 0, random.gamma(3, 1, (60, 45))), 15)
    arrays |= neighbours("zero", np.zeros((31, 30)), 9)
    centers = random.normal(size=(6, 20))
    arrays |= embedding("blobs", centers[np.arange(240) % 6] + 0.6 * random.normal(size=(240, 20)), 30)
    angle = np.sort(random.random(200)) * 4 * np.pi
    ring = np.stack([np.cos(angle), np.sin(angle), angle / 6], axis=1)
    arrays |= embedding("spiral", ring + 0.02 * random.normal(size=ring.shape), 20)
    arrays |= embedding("digits", load_digits().data[:300] / 16, 30)
    golden_file.write("tsne.safetensors", arrays, {"scikit-learn": sklearn.__version__, "numpy": np.__version__})


if __name__ == "__main__":
    main()

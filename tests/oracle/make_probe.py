"""Makes tests/golden/data/probe.safetensors with scikit-learn: class probabilities of logistic regression on standardised
features, at the minimum to 1e-10."""
import numpy as np
import sklearn
from sklearn.linear_model import LogisticRegression
from sklearn.preprocessing import StandardScaler

import golden_file


def case(name, random, samples, dims, classes, l2, spread):
    centers = spread * random.normal(size=(classes, dims))
    labels = random.integers(0, classes, samples)
    train = (centers[labels] + random.normal(size=(samples, dims))).astype(np.float32)
    train[:, 1] = 0.3  # constant
    train[:, 2] = 50 + 20 * train[:, 2]
    new = (centers[random.integers(0, classes, 30)] + random.normal(size=(30, dims))).astype(np.float32)
    scaler = StandardScaler().fit(train.astype(np.float64))
    # With two classes scikit-learn fits one vector, where ours fits two of half its length.
    strength = (2 if classes == 2 else 1) / l2
    model = LogisticRegression(C=strength, tol=1e-10, max_iter=100000)
    model.fit(scaler.transform(train.astype(np.float64)), labels)
    probabilities = model.predict_proba(scaler.transform(new.astype(np.float64)))
    print(name, "training accuracy", model.score(scaler.transform(train.astype(np.float64)), labels))
    return {
        f"{name}.shape": np.array([samples, dims, classes, l2], dtype=np.float64),
        f"{name}.train": train,
        f"{name}.labels": labels.astype(np.float64),
        f"{name}.new": new,
        f"{name}.probabilities": probabilities,
    }


def main():
    random = np.random.default_rng(5)
    arrays = {
        **case("three", random, 120, 6, 3, 1.0, 0.7),
        **case("ten", random, 200, 12, 10, 0.5, 1.0),
        **case("two", random, 80, 5, 2, 2.0, 0.5),
        **case("separable", random, 60, 8, 4, 0.01, 4.0),
    }
    golden_file.write("probe.safetensors", arrays,
                      {"scikit_learn": sklearn.__version__, "numpy": np.__version__})


main()

"""Makes tests/golden/data/metrics.safetensors with scikit-learn: every measure of an evaluation on random and
degenerate logits. The calibration error, which scikit-learn lacks, is a few lines of its definition."""
import warnings

import numpy as np
import scipy.special
import sklearn
from sklearn import metrics

import golden_file


def calibration_error(labels, probabilities, bins=15):
    """Guo et al. 2017: bins (b / 15, (b + 1) / 15] of the largest probability."""
    confidence, correct = probabilities.max(1), probabilities.argmax(1) == labels
    edges, error = np.linspace(0, 1, bins + 1), 0.0
    for low, high in zip(edges[:-1], edges[1:]):
        inside = (confidence > low) & (confidence <= high)
        if inside.any():
            error += inside.mean() * abs(correct[inside].mean() - confidence[inside].mean())
    return error


def measures(name, logits, labels):
    samples, classes = logits.shape
    everything = np.arange(classes)
    wide = logits.astype(np.float64)
    probabilities = scipy.special.softmax(wide, axis=1)
    predicted = logits.argmax(1)  # the first of equals
    one_hot = (labels[:, None] == everything).astype(int)
    average = metrics.average_precision_score(one_hot, probabilities, average=None)
    # Only data whose ranking does not hang on rounding are worth comparing.
    exact = scipy.special.softmax(logits.astype(np.longdouble), axis=1)
    for c in everything:
        order = np.argsort(exact[:, c])
        gaps = np.diff(exact[order, c]).astype(np.float64)
        assert np.all((gaps == 0) | (gaps > 1e-14 * exact[order[1:], c])), (name, c)
    table = metrics.precision_recall_fscore_support(labels, predicted, labels=everything, zero_division=0)
    top5 = 1.0
    if classes > 5:  # classes in reverse: its rule for equals is the highest class, ours the lowest
        top5 = metrics.top_k_accuracy_score(classes - 1 - labels, wide[:, ::-1], k=5, labels=everything)
    values = [
        -scipy.special.log_softmax(wide, axis=1)[np.arange(samples), labels].mean(),
        metrics.accuracy_score(labels, predicted),
        top5,
        metrics.f1_score(labels, predicted, average="macro", zero_division=0),
        metrics.f1_score(labels, predicted, average="weighted", zero_division=0),
        metrics.average_precision_score(one_hot, probabilities, average="macro"),
        calibration_error(labels, probabilities),
    ]
    print(name, samples, classes, np.round(values, 4).tolist())
    return {
        f"{name}.shape": np.array([samples, classes], dtype=np.float64),
        f"{name}.logits": logits.astype(np.float32),
        f"{name}.labels": labels.astype(np.float64),
        f"{name}.measures": np.array(values),
        f"{name}.classes": np.stack([*table[:3], np.atleast_1d(average), table[3]], axis=1).astype(np.float64),
        f"{name}.confusion": metrics.confusion_matrix(labels, predicted, labels=everything).astype(np.float64),
    }


def cases(random):
    def noise(samples, classes, scale=1.0):
        return (scale * random.normal(size=(samples, classes))).astype(np.float32)

    def draw(samples, classes):
        return random.integers(0, classes, samples)

    labels = draw(300, 10)
    good = noise(300, 10) + 2.5 * (labels[:, None] == np.arange(10)).astype(np.float32)
    yield "random", noise(200, 5), draw(200, 5)
    yield "good", good, labels
    yield "two_classes", noise(60, 2), draw(60, 2)
    yield "ties", np.repeat(noise(50, 7), 3, axis=0), draw(150, 7)
    coarse = np.full((120, 7), -1e4, dtype=np.float32)  # exp of it is 0: sums are exact
    for _ in range(2):
        coarse[np.arange(120), draw(120, 7)] = 0
    yield "ties_in_a_sample", coarse, draw(120, 7)
    yield "all_equal", np.zeros((40, 6), dtype=np.float32), draw(40, 6)
    yield "overconfident", noise(80, 4, 6.0), draw(80, 4)
    yield "one_class", noise(9, 1), np.zeros(9, dtype=int)
    yield "one_label", noise(50, 4), np.full(50, 2)
    absent = draw(90, 4)
    yield "empty_class", noise(90, 5), absent  # class 4 has no samples but is predicted
    unseen = noise(90, 5)
    unseen[:, 4] -= 100
    yield "absent_class", unseen, absent  # class 4 neither occurs nor is predicted
    never = noise(70, 6)
    never[:, 1] -= 100
    yield "never_predicted", never, draw(70, 6)
    yield "one_sample", noise(1, 3), np.array([1])


def main():
    warnings.simplefilter("ignore")  # undefined measures are the point
    arrays = {}
    for name, logits, labels in cases(np.random.default_rng(11)):
        arrays.update(measures(name, logits, labels))
    golden_file.write("metrics.safetensors", arrays,
                      {"scikit_learn": sklearn.__version__, "numpy": np.__version__})


main()

"""The numbers of tests/support/vector_store.c: vectors around the hashed mean of their class."""
import numpy as np
import torch
from hash_fill import hash_fill


def vectors(name, width, spread, samples, labels):
    """float32 [len(samples)][width]"""
    rows = [hash_fill(f"noise.{name}.{i}", (width,), spread) + hash_fill(f"mean.{name}.{label}", (width,))
            for i, label in zip(samples, labels)]
    return torch.from_numpy(np.stack(rows))


def split(modalities, first, count, classes):
    """modalities: [(name, width, spread)]. ({name: float32 [count][width]}, labels int64 [count]) of a split that
    begins with sample `first`."""
    labels = [i % classes for i in range(count)]
    samples = range(first, first + count)
    return ({name: vectors(name, width, spread, samples, labels) for name, width, spread in modalities},
            torch.tensor(labels))

"""The samples of tests/support/hashed_store.c: vectors around the hashed mean of their class, and pictures."""
import numpy as np
import torch
from hash_fill import hash_bits, hash_fill


def vector(name, width, spread, sample, label):
    """float32 [width]"""
    return hash_fill(f"noise.{name}.{sample}", (width,), spread) + hash_fill(f"mean.{name}.{label}", (width,))


def picture(name, side, sample, label):
    """float32 [1][3][side][side], as the network gets it"""
    count = side * side * 3
    levels = hash_bits(f"mean.{name}.{label}", count) % 128 + hash_bits(f"noise.{name}.{sample}", count) % 128
    values = (levels.astype(np.float32) / np.float32(255) - np.float32(0.5)) / np.float32(0.25)
    return values.reshape(1, side, side, 3).transpose(0, 3, 1, 2)


def split(modalities, first, count, classes):
    """modalities: [(name, width, spread)], spread None for pictures. ({name: float32 [count]...}, labels int64
    [count]) of a split that begins with sample `first`."""
    labels = [i % classes for i in range(count)]
    inputs = {}
    for name, width, spread in modalities:
        rows = [picture(name, width, first + i, label) if spread is None
                else vector(name, width, spread, first + i, label) for i, label in enumerate(labels)]
        inputs[name] = torch.from_numpy(np.stack(rows))
    return inputs, torch.tensor(labels)

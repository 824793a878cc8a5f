"""The numbers of tests/support/hash_fill.c, to the bit."""
import numpy as np

MASK = (1 << 64) - 1


def _name_hash(name):
    value = 0xCBF29CE484222325
    for byte in name.encode():
        value = ((value ^ byte) * 0x100000001B3) & MASK
    return value


def hash_bits(name, count, first=0):
    """uint64 [count] from (name, first), (name, first + 1), ..."""
    with np.errstate(over="ignore"):
        index = np.arange(first + 1, first + count + 1, dtype=np.uint64)
        x = np.uint64(_name_hash(name)) + index * np.uint64(0x9E3779B97F4A7C15)
        x = (x ^ x >> np.uint64(30)) * np.uint64(0xBF58476D1CE4E5B9)
        x = (x ^ x >> np.uint64(27)) * np.uint64(0x94D049BB133111EB)
        return x ^ x >> np.uint64(31)


def hash_fill(name, shape, scale=1.0, offset=0.0):
    """float32 array: offset + scale * u, u uniform in [-1, 1)."""
    count = int(np.prod(shape))
    uniform = (hash_bits(name, count) >> np.uint64(40)).astype(np.float32) / np.float32(8388608) - np.float32(1)
    return (np.float32(offset) + np.float32(scale) * uniform).reshape(shape)

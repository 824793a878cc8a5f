#!/usr/bin/env python3
"""Compares remade golden files with the committed ones: oracle_compare.py COMMITTED_FOLDER FILE...

Equal bytes are best. Where another build of the oracle rounds otherwise, numbers may differ by 1e-4 of
the largest magnitude of their array (or line, in text): what single precision and another order of
summation can do, and well inside the tolerances of the tests. Everything else must be equal.

Three kinds of tensors tell of rounding itself and change with the CPU and the number of threads. Those named spread.KIND.* are
sizes of errors: each may be hundreds of times larger or smaller when one sum falls on the other side of a ReLU, so what must
agree, to a factor of 4, is their geometric mean over the KIND (2.4 was seen between AVX-512 and AVX2). Those named *.float32 are
sizes of errors of single operations: each to a factor of 2. Those named chaotic.* follow from such errors: 1 in 100.
"""
import json
import pathlib
import re
import struct
import sys

import numpy as np

RELATIVE = 1e-4
NUMBER = re.compile(r"[-+]?(?:\d+\.\d*|\.\d+|\d+)(?:[eE][-+]?\d+)?")


def close(a, b, relative=RELATIVE):
    a, b = np.asarray(a, dtype=np.float64), np.asarray(b, dtype=np.float64)
    if a.shape != b.shape or not np.array_equal(np.isfinite(a), np.isfinite(b)):
        return False
    finite = np.isfinite(a)
    if not finite.any():
        return True
    return np.abs(a - b)[finite].max() <= relative * max(np.abs(b)[finite].max(), 1e-30)


def safetensors(data):
    size = struct.unpack("<Q", data[:8])[0]
    header = json.loads(data[8:8 + size])
    header.pop("__metadata__", None)  # versions and checksums
    kinds = {"F32": "<f4", "F64": "<f8", "F16": "<f2", "I64": "<i8", "I32": "<i4", "I16": "<i2", "I8": "i1",
             "U8": "u1", "BOOL": "u1"}
    tensors = {}
    for name, entry in header.items():
        begin, end = (8 + size + offset for offset in entry["data_offsets"])
        tensors[name] = np.frombuffer(data[begin:end], kinds[entry["dtype"]]).reshape(entry["shape"])
    return tensors


def alike(name, a, b):
    if name.startswith("spread."):
        return a.shape == b.shape and bool(np.all(a > 0) and np.all(b > 0))
    if name.endswith(".float32"):
        return a.shape == b.shape and bool(np.all(a > 0) and np.all(np.abs(np.log(a / b)) < np.log(2)))
    return close(a, b, 1e-2 if name.startswith("chaotic.") else RELATIVE)


def spreads_differ(new, old):
    """Kinds of spread.KIND.* whose geometric means differ by more than a factor of 4."""
    logs = {}
    for name in old:
        if name.startswith("spread."):
            logs.setdefault(name.split(".")[1], []).append(np.log(new[name].astype(np.float64) / old[name]).mean())
    return [f"spread.{kind}.*" for kind, ratios in logs.items() if abs(np.mean(ratios)) > np.log(4)]


def differs_safetensors(new, old):
    new, old = safetensors(new), safetensors(old)
    if new.keys() != old.keys():
        return f"tensors {sorted(new.keys() ^ old.keys())[:5]} are in one only"
    bad = [name for name in old if new[name].dtype != old[name].dtype or not alike(name, new[name], old[name])]
    bad = bad or spreads_differ(new, old)
    return f"tensors {bad[:5]}" if bad else None


def differs_text(new, old):
    new, old = new.decode().splitlines(), old.decode().splitlines()
    if len(new) != len(old):
        return f"{len(new)} lines instead of {len(old)}"
    for number, (a, b) in enumerate(zip(new, old), 1):
        if a == b or a.startswith(("# made", "// made", "#", "//")):
            continue
        if NUMBER.sub("0", a) != NUMBER.sub("0", b):
            return f"line {number}"
        if not close([float(x) for x in NUMBER.findall(a)], [float(x) for x in NUMBER.findall(b)]):
            return f"line {number}"
    return None


def differs_floats(new, old):
    if len(new) != len(old) or len(old) % 4:
        return "size"
    return None if close(np.frombuffer(new, "<f4"), np.frombuffer(old, "<f4")) else "values"


COMPARISONS = {".safetensors": differs_safetensors, ".f32": differs_floats, ".txt": differs_text, ".csv": differs_text,
               ".json": differs_text, ".h": differs_text}


def main():
    committed = pathlib.Path(sys.argv[1])
    failed = False
    for file in sys.argv[2:]:
        new, path = pathlib.Path(file).read_bytes(), committed / file
        if not path.exists():
            how = "is not committed"
        elif new == path.read_bytes():
            continue
        else:
            compare = COMPARISONS.get(path.suffix, lambda new, old: "bytes")
            how = compare(new, path.read_bytes())
            if how is None:
                print(f"close {file}")
                continue
        print(f"DIFFERS {file}: {how}")
        failed = True
    sys.exit(failed)


main()

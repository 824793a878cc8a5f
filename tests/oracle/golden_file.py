"""Golden files are safetensors: named arrays behind a JSON header."""
import json
import os
import struct

import numpy as np

FOLDER = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "golden", "data")
KINDS = {"float32": "F32", "float64": "F64", "int32": "I32", "int64": "I64", "uint8": "U8"}


def write(name, arrays, metadata):
    """arrays: name -> NumPy array; metadata: text -> text (versions). Equal input gives equal bytes."""
    header, parts, offset = {"__metadata__": metadata}, [], 0
    for key, array in arrays.items():
        array = np.ascontiguousarray(array)
        data = array.tobytes()
        header[key] = {"dtype": KINDS[array.dtype.name], "shape": list(array.shape),
                       "data_offsets": [offset, offset + len(data)]}
        parts.append(data)
        offset += len(data)
    text = json.dumps(header, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)
    path = os.path.join(FOLDER, name)
    with open(path, "wb") as file:
        file.write(struct.pack("<Q", len(text)) + text + b"".join(parts))
    print(f"{name}: {os.path.getsize(path)} bytes, {metadata}")

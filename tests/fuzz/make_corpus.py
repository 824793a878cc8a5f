#!/usr/bin/env python3
"""Writes the small, right inputs that fuzzing starts from: tests/fuzz/make_corpus.py (standard library only).

Pictures and files of PyTorch come from tests/golden/data; everything else is made here.
"""
import io
import json
import math
import pathlib
import pickle
import shutil
import struct
import wave
import zipfile

HERE = pathlib.Path(__file__).resolve().parent
GOLDEN = HERE.parent / "golden" / "data"
OUT = HERE / "corpus"


def put(target, name, data):
    (OUT / target).mkdir(parents=True, exist_ok=True)
    (OUT / target / name).write_bytes(data if isinstance(data, bytes) else data.encode())


def npy(shape, code, data, fortran=False, version=1):
    header = f"{{'descr': '{code}', 'fortran_order': {fortran}, 'shape': {shape!r}, }}".encode()
    length = 2 if version == 1 else 4
    header += b" " * (-(6 + 2 + length + len(header) + 1) % 64) + b"\n"
    return b"\x93NUMPY" + bytes([version, 0]) + len(header).to_bytes(length, "little") + header + data


def archive(members, method):
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", method) as file:
        for name, data in members.items():
            file.writestr(zipfile.ZipInfo(name), data, compress_type=method)
    return out.getvalue()


def safetensors(tensors, metadata=None):
    header, data = {}, b""
    if metadata:
        header["__metadata__"] = metadata
    for name, (dtype, shape, payload) in tensors.items():
        header[name] = {"dtype": dtype, "shape": shape, "data_offsets": [len(data), len(data) + len(payload)]}
        data += payload
    text = json.dumps(header).encode()
    return struct.pack("<Q", len(text)) + text + data


def floats(*values):
    return struct.pack(f"<{len(values)}f", *values)


def sound():
    out = io.BytesIO()
    with wave.open(out, "wb") as file:
        file.setparams((1, 2, 8000, 0, "NONE", ""))
        file.writeframes(struct.pack("<400h", *((i * 997) % 20000 - 10000 for i in range(400))))
    return out.getvalue()


def video():
    """Four frames of 8 x 8, uncompressed, in an AVI of its own making."""
    def chunk(name, data):
        return name + struct.pack("<I", len(data)) + data + b"\0" * (len(data) % 2)

    def group(name, data):
        return chunk(b"LIST", name + data)

    frame = bytes((i * 7) % 256 for i in range(8 * 8 * 3))
    main = struct.pack("<14I", 40000, 0, 0, 0x10, 4, 0, 1, len(frame), 8, 8, 0, 0, 0, 0)
    stream = b"vids" + b"DIB " + struct.pack("<3I", 0, 0, 0) + struct.pack("<8I", 1, 25, 0, 4, len(frame), 0, 0, 0) + bytes(8)
    form = struct.pack("<IiiHHIIiiII", 40, 8, 8, 1, 24, 0, len(frame), 0, 0, 0, 0)
    headers = group(b"hdrl", chunk(b"avih", main) + group(b"strl", chunk(b"strh", stream) + chunk(b"strf", form)))
    movie = group(b"movi", chunk(b"00db", frame) * 4)
    return chunk(b"RIFF", b"AVI " + headers + movie)


def report():
    """The parts of fuzz_report.c."""
    alone = {"audio": {"accuracy": 0.5, "loss": 1.5}, "v": {"accuracy": 0.25, "loss": 2}}
    one = {"precision": 0.5, "recall": 0.5, "f1": 0.5, "average_precision": 0.5, "support": 4}
    summary = {
        "method": "relearn", "seed": 1, "modalities": ["audio", "v"],
        "data": {"recipe": "ucf101", "fingerprint": "f", "classes": 2, "samples": {"train": 8, "val": 9, "test": 8}, "missing": 1},
        "validation": {"accuracy": 0.5},
        "test": {"samples": 8, "accuracy": 0.5, "ece": 0.1, "modalities": alone, "classes": [{"name": "a<", **one}, {"name": "b", **one}],
                 "confusion": [[3, 1], [2, 2]], "calibration": [{"samples": 8, "confidence": 0.7, "accuracy": 0.5}]},
        "diagnoses": [{"epoch": 1, "modalities": [{"name": "v", "purity_train": 0.5, "purity_val": 0.25, "alpha": 0.5, "applied": 0.5}]}],
        "timing": {"seconds": 2, "peak_rss_kib": 1024, "threads": 1}}
    log = [{"event": "start"}, {"event": "step", "epoch": 1, "loss": 1}] + [
        {"event": "epoch", "epoch": epoch, "train": {"samples": 8, "loss": 1, "accuracy": 0.5}, "learning_rate": 0.1,
         "validation": {"loss": 1, "accuracy": 0.5, "modalities": alone}, "timing": {"seconds": 1, "loader_wait_seconds": 0}}
        for epoch in (1, 2)]
    features = {"v": ("F32", [9, 2], floats(*[i * i % 7 for i in range(18)])),
                "labels:": ("I32", [9], struct.pack("<9i", *[i % 2 for i in range(9)]))}
    lines = "".join(json.dumps(line, separators=(",", ":")) + "\n" for line in log)
    config = "method: relearn\nepochs: 2\nseed: 1\nmodalities: [audio, v]\nfusion: concat\nencoders:\n  v:\n    kind: auto\n"
    return (json.dumps(summary) + "\0" + config + "\0" + lines + "\0").encode() \
        + safetensors(features, {"epoch": "1", "split": "val"})


def crc(data):
    """CRC-32C as TFRecord masks it."""
    value = 0xFFFFFFFF
    for byte in data:
        value ^= byte
        for _ in range(8):
            value = value >> 1 ^ (0x82F63B78 if value & 1 else 0)
    value ^= 0xFFFFFFFF
    return struct.pack("<I", ((value >> 15 | value << 17 & 0xFFFFFFFF) + 0xA282EAD8) & 0xFFFFFFFF)


def event(data):
    length = struct.pack("<Q", len(data))
    return length + crc(length) + data + crc(data)


def run():
    """The parts of fuzz_run.c."""
    process = {"pid": 7, "host": "h", "started": "2026-11-30T02:16:18Z", "state": "finished", "loop_started": 1.5,
               "steps_before": 0, "steps": 6}
    log = [{"event": "start", "method": "relearn", "steps_per_epoch": 1},
           {"event": "step", "epoch": 1, "step": 1, "loss": 1.5, "timing": {"seconds": 0.5}},
           {"event": "epoch", "epoch": 1, "train": {"loss": 1}, "validation": {"accuracy": 0.5}, "timing": {"seconds": 1}}]
    lines = "".join(json.dumps(line, separators=(",", ":")) + "\n" for line in log)
    # The version of the format, then a step that holds nothing.
    events = event(b"\x1a\x0dbrain.Event:2") + event(b"\x10\x01") + event(b"\x10\x02")
    return (json.dumps(process) + "\0" + lines + "\0").encode() + events


def main():
    shutil.rmtree(OUT, ignore_errors=True)
    put("csv", "table.csv", 'id,split,label\r\na,train,"x, ""y"""\r\n\r\nb,test, z \n1,2.5,-3e4\n')
    put("csv", "utf8.csv", "\ufeffname,wärme\nÄ,1\n")
    put("yaml", "train.yaml", "method: relearn\nepochs: 4\nbatch: 2\nrelearn:\n  lambda: 3\n  every: 2\nencoder:\n  width: 8\n"
        "encoders:\n  audio: {width: 16, blocks: [1, 1]}\ninputs:\n  visual:\n    flip: false\nmodalities: [audio, visual]\n")
    put("yaml", "short.yaml", "lr: 0.1 # comment\nschedule: step\n'quoted': \"a\\u00e4\"\n")
    modality = "modalities:\n  audio: {kind: logmel}\n  text: {kind: vector}\nclasses: [a, b]\n"
    put("manifest", "two", modality + "\0id,split,label,audio,text\n1,train,a,a.wav,a.npy\n2,test,b,b.wav,b.npy\n")
    put("manifest", "frames", "modalities: {v: {kind: frames, fps: 2}}\n\0id,split,label,v\nx,train,1,\"v,1.mp4\"\n")
    put("lists", "ucf101", b"\0" + b"1 Archery\n2 Biking\n\0Archery/v_Archery_g08_c01.avi 1\n\0Archery/v_Archery_g01_c01.avi\n")
    put("lists", "kinetics", b"\1" + b"abcdefghijk_1_11,10,0\n\0abcdefghijk_1_11,10,1\n\0")
    put("lists", "cremad", b"\2" + b"1001_DFA_ANG_XX,ANG\n\0" + b"1001_DFA_ANG_XX,ANG\n\0" + b"1001_DFA_ANG_XX,ANG\n\0ANG\n")
    put("npy", "f4", npy((2, 3), "<f4", floats(1, 2, 3, 4, 5, 6)))
    put("npy", "i8", npy((2,), "<i8", struct.pack("<2q", 0, 1)))
    put("npy", "fortran", npy((2, 2), "<f8", struct.pack("<4d", 1, 2, 3, 4), True, 2))
    put("npy", "f2", npy((1, 2), "<f2", struct.pack("<2e", 0.5, -2)))
    arrays = {"x.npy": npy((2, 2), "<f4", floats(1, 2, 3, 4)), "y.npy": npy((2,), "|i1", b"\0\1")}
    put("npz", "stored", archive(arrays, zipfile.ZIP_STORED))
    put("npz", "deflated", archive(arrays, zipfile.ZIP_DEFLATED))
    tensors = {"a.weight": ("F32", [2, 2], floats(1, 2, 3, 4)), "a.num": ("I64", [], struct.pack("<q", 7)),
               "b": ("BF16", [2], b"\0\x3f\0\x40")}
    put("safetensors", "three", safetensors(tensors, {"format": "pt"}))
    # Of the model in fuzz_checkpoint.c; without a checksum, which would keep changed bytes from being read.
    shapes = {"text.layers.0.weight": [4, 3], "text.layers.0.bias": [4], "head.weight": [2, 4], "head.bias": [2]}
    planes = {prefix + name: ("F32", shape, floats(*[0.5] * math.prod(shape)))
              for prefix in ("", "initial:", "optimizer0:") for name, shape in shapes.items()}
    put("checkpoint", "whole", safetensors(planes, {"relearn_checkpoint": "1", "relearn_state": json.dumps({"epoch": 3})}))
    put("safetensors", "empty", safetensors({}))
    for protocol in (2, 4):
        value = {"state_dict": [1, 2.5, "text", None, True, (1, 2)], "n": 10**6, "b": b"bytes"}
        put("pickle", f"protocol{protocol}", pickle.dumps(value, protocol))
    for path in sorted(GOLDEN.glob("torch_*.pt")):
        if path.stat().st_size < 8192:
            put("torch", path.stem, path.read_bytes())
    table = "x,y,label\n1,2,0\n3,4,1\n"
    for number, data in enumerate([table, npy((2, 2), "<f4", floats(1, 2, 3, 4)), archive(arrays, zipfile.ZIP_STORED),
                                   safetensors({"x": ("F32", [2, 2], floats(1, 2, 3, 4)), "y": ("I64", [2], struct.pack("<2q", 0, 1))})]):
        put("features", f"format{number}", bytes([number]) + (data.encode() if isinstance(data, str) else data))
    for path in sorted(GOLDEN.glob("media_*.jpeg")) + sorted(GOLDEN.glob("media_*.png")):
        if path.stat().st_size < 4096:
            put("picture", path.stem, b"\2" + path.read_bytes())
    put("sound", "pcm16.wav", sound())
    put("video", "raw.avi", video())
    put("store", "nothing", b"")
    put("store", "two", struct.pack(">IB", 100, 2) + b"ab" + struct.pack(">IB", 20000, 4) + b"\0\0\0\0")
    put("record", "vector", bytes([2, 1]) + (16).to_bytes(3, "big") + floats(1, 2, 3, 4))
    png = next(path for path in sorted(GOLDEN.glob("media_rgb.png")))
    size = png.stat().st_size
    put("record", "pictures", bytes([1, 2]) + size.to_bytes(3, "big") * 2 + png.read_bytes() * 2)
    put("report", "whole", report())
    put("run", "whole", run())


if __name__ == "__main__":
    main()

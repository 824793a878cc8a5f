#!/usr/bin/env python3
"""Makes tests/golden/data/media_*: what PIL and torchaudio give for synthetic sounds and pictures.

Needs numpy, pillow, torch and torchaudio's compliance/kaldi.py: the installed one (pip install
--no-deps torchaudio==2.11.0), or the file given by --kaldi. Sounds and the pictures to be
resized are made from an integer hash here and in the C tests, so only outputs are stored.
"""
import argparse
import importlib.util
import io
import pathlib
import struct
import sys
import types
import zlib

import numpy as np
import PIL
import torch
from PIL import Image, features

OUT = pathlib.Path(__file__).resolve().parent.parent / "golden" / "data"


def hash32(index):
    """The same as in tests/golden/test_media_*.c: a multiply-xorshift mix of 32 bits."""
    x = np.asarray(index, dtype=np.uint64) * np.uint64(2654435761) & np.uint64(0xFFFFFFFF)
    x ^= x >> np.uint64(15)
    x = x * np.uint64(2246822519) & np.uint64(0xFFFFFFFF)
    x ^= x >> np.uint64(13)
    return x


def sound(channels, samples):
    """16-bit: a saw that differs by channel, plus noise. [channels][samples]"""
    i = np.arange(samples, dtype=np.int64)
    rows = []
    for c in range(channels):
        saw = (i * (900 + 400 * c)) % 65536 - 32768
        noise = (hash32(i * channels + c) >> np.uint64(16)).astype(np.int64) - 32768
        rows.append((saw // 4 + noise // 16 + 1000 * (c + 1)).astype(np.int16))
    return np.stack(rows)


def picture(width, height, channels):
    """8-bit: slopes, with every third pixel replaced by noise. [height][width][channels]"""
    y, x, c = np.meshgrid(np.arange(height), np.arange(width), np.arange(channels), indexing="ij")
    slope = (x * 3 + y * 5 + c * 40) % 256
    index = (y * width + x) * channels + c
    noise = (hash32(index) >> np.uint64(24)).astype(np.int64)
    return np.where(index % 3 == 0, noise, slope).astype(np.uint8)


def load_kaldi(path):
    """Only this file: torchaudio as a whole loads libraries made for one version of torch."""
    if path is None:
        found = importlib.util.find_spec("torchaudio")
        if found is None:
            sys.exit("make_media.py: torchaudio is not installed; name its compliance/kaldi.py with --kaldi")
        path = pathlib.Path(found.submodule_search_locations[0]) / "compliance" / "kaldi.py"
    sys.modules["torchaudio"] = types.ModuleType("torchaudio")
    spec = importlib.util.spec_from_file_location("kaldi", path)
    kaldi = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(kaldi)
    return kaldi


LOGMEL_CASES = [  # name, rate, channels, samples, mono, keywords of fbank, frames out
    ("default", 16000, 1, 4800, "first", {}, 40),
    ("stereo_mean", 8000, 2, 2400, "mean",
     dict(num_mel_bins=40, low_freq=50.0, high_freq=3500.0, preemphasis_coefficient=0.9,
          frame_length=30.0, frame_shift=12.5), 16),
    ("odd_rate_first", 22050, 2, 6000, "first", dict(num_mel_bins=64), 20),
]


def make_logmel(kaldi):
    for name, rate, channels, samples, mono, keywords, frames in LOGMEL_CASES:
        wave = torch.from_numpy(sound(channels, samples).astype(np.float64) / 32768)
        wave = wave - wave.mean()
        wave = wave[:1] if mono == "first" else wave.mean(0, keepdim=True)
        fbank = kaldi.fbank(wave, htk_compat=True, sample_frequency=rate, use_energy=False,
                            window_type="hanning", dither=0.0,
                            **{"num_mel_bins": 128, "frame_shift": 10.0, **keywords})
        assert fbank.dtype == torch.float64
        padded = torch.zeros(frames, fbank.shape[1], dtype=torch.float64)
        count = min(frames, len(fbank))
        padded[:count] = fbank[:count]
        out = (padded + 4.503877) / (2 * 5.141276)
        (OUT / f"media_logmel_{name}.f32").write_bytes(out.numpy().astype("<f4").tobytes())
        print("logmel", name, tuple(fbank.shape), "->", tuple(out.shape))


RESIZE_CASES = [  # source width, height, channels, box or None, width, height
    (50, 37, 3, None, 24, 24),
    (20, 15, 1, None, 45, 33),
    (50, 37, 3, (3.25, 4.5, 41.75, 30.125), 28, 28),
    (50, 37, 1, (3.3, 1.7, 17.9, 36.6), 28, 28),
    (301, 203, 3, None, 7, 5),
    (40, 30, 3, None, 40, 11),
    (40, 30, 3, None, 11, 30),
    (40, 30, 3, None, 40, 30),
    (41, 31, 3, (1, 1, 41, 31), 40, 30),
    (9, 9, 3, (4, 4, 5, 5), 6, 6),
    (5, 200, 1, (0, 10.5, 5, 12.5), 5, 1),
]


def make_resize():
    out = b""
    for width, height, channels, box, to_width, to_height in RESIZE_CASES:
        pixels = picture(width, height, channels)
        source = Image.fromarray(pixels[:, :, 0] if channels == 1 else pixels)
        out += np.asarray(source.resize((to_width, to_height), Image.Resampling.BILINEAR, box)).tobytes()
    (OUT / "media_resize.u8").write_bytes(out)
    print("resize", len(out), "bytes")


def chunk(kind, data):
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def interlaced_png(pixels):
    """PIL writes no Adam7, so here is one: RGB, no filter."""
    height, width, _ = pixels.shape
    raw = b""
    for x0, y0, dx, dy in [(0, 0, 8, 8), (4, 0, 8, 8), (0, 4, 4, 8), (2, 0, 4, 4), (0, 2, 2, 4),
                           (1, 0, 2, 2), (0, 1, 1, 2)]:
        part = pixels[y0::dy, x0::dx]
        if part.size:
            raw += b"".join(b"\0" + row.tobytes() for row in part)
    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 1)
    return (b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(raw, 9))
            + chunk(b"IEND", b""))


def make_pictures():
    """Each case: the encoded file, and PIL's RGB and gray of it behind each other."""
    width, height = 21, 13
    rgb = Image.fromarray(picture(width, height, 3))
    gray = Image.fromarray(picture(width, height, 1)[:, :, 0])
    rgba = rgb.copy()
    rgba.putalpha(gray)
    deep = Image.fromarray((picture(width, height, 1)[:, :, 0].astype(np.uint16) << 8) + 77)
    files = {}

    def save(name, image, **keywords):
        stream = io.BytesIO()
        image.save(stream, name.rsplit("_", 1)[1], **keywords)
        files[name] = stream.getvalue()

    save("rgb420_jpeg", rgb, quality=90)
    save("rgb444_jpeg", rgb, quality=75, subsampling=0)
    save("rgb422progressive_jpeg", rgb, quality=85, subsampling=1, progressive=True)
    save("gray_jpeg", gray, quality=90)
    save("cmyk_jpeg", rgb.convert("CMYK"), quality=90)
    save("rgb_png", rgb)
    save("rgba_png", rgba)
    save("gray_png", gray)
    save("grayalpha_png", rgba.convert("LA"))
    save("palette_png", rgb.quantize(13))
    save("paletteclear_png", rgb.quantize(13), transparency=bytes(range(0, 250, 20)))
    save("bits1_png", gray.convert("1"))
    save("deepgray_png", deep)
    files["interlaced_png"] = interlaced_png(picture(width, height, 3))
    for name, data in files.items():
        stem, kind = name.rsplit("_", 1)
        decoded = Image.open(io.BytesIO(data))
        if stem == "deepgray":  # PIL clips 16-bit values instead of scaling them
            decoded = Image.fromarray((np.asarray(decoded) >> 8).astype(np.uint8))
        pixels = decoded.convert("RGB").tobytes() + decoded.convert("RGB").convert("L").tobytes()
        (OUT / f"media_{stem}.{kind}").write_bytes(data)
        (OUT / f"media_{name}.u8").write_bytes(pixels)
    print("pictures", *files)


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--kaldi", help="path of torchaudio's compliance/kaldi.py")
    arguments = parser.parse_args()
    print("numpy", np.__version__, "pillow", PIL.__version__, "libjpeg-turbo",
          features.version_feature("libjpeg_turbo"), "torch", torch.__version__)
    torch.set_default_dtype(torch.float64)  # else the mel filters are float32
    OUT.mkdir(parents=True, exist_ok=True)
    make_logmel(load_kaldi(arguments.kaldi))
    make_resize()
    make_pictures()


if __name__ == "__main__":
    main()

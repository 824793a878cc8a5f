#!/usr/bin/env python3
"""Makes tests/golden/data/transform_*: what PIL and NumPy make of pictures that the C test makes too.

Random crops and flips draw from the same Philox streams as the program does, by the rules of
torchvision's RandomResizedCrop.get_params; cropping, resizing and flipping are PIL's, normalisation
is ToTensor's and Normalize's arithmetic in float32. Needs numpy and pillow.
"""
import math
import pathlib
import sys

import numpy as np
import PIL
from PIL import Image

OUT = pathlib.Path(__file__).resolve().parent.parent / "golden" / "data"
AUGMENT = 3  # rel_random_purpose
MEAN = np.array([0.485, 0.456, 0.406])
DEVIATION = np.array([0.229, 0.224, 0.225])
MASK = 0xFFFFFFFF


def philox(counter, key):
    """Philox4x32-10 (Salmon et al. 2011)."""
    c, k = list(counter), list(key)
    for _ in range(10):
        a, b = 0xD2511F53 * c[0], 0xCD9E8D57 * c[2]
        c = [(b >> 32) ^ c[1] ^ k[0], b & MASK, (a >> 32) ^ c[3] ^ k[1], a & MASK]
        k = [(k[0] + 0x9E3779B9) & MASK, (k[1] + 0xBB67AE85) & MASK]
    return c


class Stream:
    """The stream (seed, purpose, epoch, index) of src/base/random.h."""

    def __init__(self, seed, purpose, epoch, index):
        name = philox([index & MASK, index >> 32, epoch, purpose], [seed & MASK, seed >> 32])
        self.key, self.high, self.count, self.words = name[:2], name[2:], 0, []

    def u64(self):
        if not self.words:
            self.words = philox([self.count & MASK, self.count >> 32] + self.high, self.key)
            self.count += 1
        high, low = self.words[:2]
        self.words = self.words[2:]
        return high << 32 | low

    def uniform(self, low, high):
        return low + (high - low) * ((self.u64() >> 11) * 2.0**-53)

    def below(self, bound):
        while True:
            value = self.u64()
            if value >= (1 << 64) % bound:
                return value % bound


def random_box(stream, width, height, scale, ratio):
    """torchvision.transforms.RandomResizedCrop.get_params: (left, top, width, height)."""
    for _ in range(10):
        target = width * height * stream.uniform(*scale)
        aspect = math.exp(stream.uniform(math.log(ratio[0]), math.log(ratio[1])))
        w, h = round(math.sqrt(target * aspect)), round(math.sqrt(target / aspect))
        if 0 < w <= width and 0 < h <= height:
            top = stream.below(height - h + 1)
            left = stream.below(width - w + 1)
            return left, top, w, h
    if width / height < ratio[0]:
        w, h = width, round(width / ratio[0])
    elif width / height > ratio[1]:
        w, h = round(height * ratio[1]), height
    else:
        w, h = width, height
    return (width - w) // 2, (height - h) // 2, w, h


def picture(width, height, channels):
    """The same as in tests/golden/test_transform_golden.c."""
    i = np.arange(width * height * channels, dtype=np.uint64)
    x = i * np.uint64(2654435761) & np.uint64(MASK)
    x ^= x >> np.uint64(15)
    pixels = (x >> np.uint64(7)).astype(np.uint8)
    return Image.fromarray(pixels.reshape((height, width, 3) if channels == 3 else (height, width)))


def normalise(image, mean, deviation):
    values = np.asarray(image, dtype=np.float32) / np.float32(255)
    values = values.reshape(values.shape[0], values.shape[1], -1)
    values = (values - np.float32(mean)) / np.float32(deviation)
    return values.transpose(2, 0, 1)


def write(name, values):
    assert values.dtype == np.float32
    (OUT / f"transform_{name}.f32").write_bytes(np.ascontiguousarray(values, "<f4").tobytes())


def main():
    print("python", sys.version.split()[0], "numpy", np.__version__, "pillow", PIL.__version__)
    # The test transform: not aspect-preserving. Shapes on which every Pillow makes the horizontal
    # pass first; from 13 on it begins with the vertical one where that is less work.
    rgb = picture(53, 37, 3)
    write("test_down", normalise(rgb.resize((20, 16), Image.BILINEAR), MEAN, DEVIATION))
    write("test_up", normalise(picture(9, 12, 3).resize((20, 16), Image.BILINEAR), MEAN, DEVIATION))
    gray = picture(53, 37, 1)
    write("test_gray", normalise(gray.resize((20, 16), Image.BILINEAR), [0.1307], [0.3081]))
    # The training transform: crop, then resize, then flip.
    frames = []
    for index in range(4):
        stream = Stream(11, AUGMENT, 2, index)
        left, top, w, h = random_box(stream, 53, 37, (0.08, 1.0), (0.75, 4 / 3))
        frame = rgb.crop((left, top, left + w, top + h)).resize((20, 16), Image.BILINEAR)
        if stream.uniform(0, 1) < 0.5:
            frame = frame.transpose(Image.FLIP_LEFT_RIGHT)
        frames.append(normalise(frame, MEAN, DEVIATION))
    write("training", np.stack(frames))
    # Boxes alone, for shapes on which the tries often fail.
    lines = ["index,width,height,left,top,box_width,box_height"]
    shapes = [(53, 37), (224, 224), (400, 20), (20, 400), (3, 2), (1, 1)]
    for index in range(60):
        width, height = shapes[index % len(shapes)]
        box = random_box(Stream(5, AUGMENT, 0, index), width, height, (0.08, 1.0), (0.75, 4 / 3))
        lines.append(",".join(map(str, (index, width, height) + box)))
    (OUT / "transform_boxes.csv").write_text("\n".join(lines) + "\n")


if __name__ == "__main__":
    main()

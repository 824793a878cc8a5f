"""Media to prepare, made once in BUILD/bench-data."""
import csv
import os
import pathlib
import wave

import numpy as np

from harness.measure import BenchError, note, relearn

SOUNDS, SOUND_COPIES, SOUND_SECONDS, SOUND_RATE = 32, 10, 10, 16000
VIDEO_COPIES = 6
VIDEO_KINDS = (".mpg", ".mp4", ".avi", ".flv")
# The videos of ../shared/data/clips are real ones of four data sets; without them these are made.
MADE_VIDEOS, MADE_SIZE, MADE_RATE, MADE_SECONDS = 12, (480, 360), 30, 4


def sounds(settings):
    """Paths of WAV files as long as Kinetics-Sounds': 16-bit, one channel, hard links of a few."""
    folder = settings.data / "sounds"
    folder.mkdir(exist_ok=True)
    paths = []
    for number in range(SOUNDS):
        first = folder / f"sound_{number:03d}_0.wav"
        if not first.exists():
            _write_sound(first, number)
        for copy in range(SOUND_COPIES):
            path = folder / f"sound_{number:03d}_{copy}.wav"
            if not path.exists():
                os.link(first, path)
            paths.append(str(path))
    return sorted(paths)


def _write_sound(path, number):
    random = np.random.default_rng(number)
    t = np.arange(SOUND_SECONDS * SOUND_RATE) / SOUND_RATE
    pitch = random.uniform(100, 400) * (1 + 0.1 * np.sin(2 * np.pi * random.uniform(0.2, 2) * t))
    phase = 2 * np.pi * np.cumsum(pitch) / SOUND_RATE
    signal = sum(np.sin(k * phase) / k for k in range(1, 8)) * 0.1 + random.normal(size=t.size) * 0.02
    partial = path.with_suffix(".partial")
    with wave.open(str(partial), "wb") as file:
        file.setparams((1, 2, SOUND_RATE, 0, "NONE", ""))
        file.writeframes((np.clip(signal, -1, 1) * 32767).astype("<i2").tobytes())
    partial.rename(path)


def videos(settings):
    """Paths of videos, and what they are."""
    folder = settings.data / "videos"
    folder.mkdir(exist_ok=True)
    shared = settings.root.parent / "shared" / "data" / "clips"
    real = sorted(path for path in shared.glob("*") if path.suffix in VIDEO_KINDS) if shared.is_dir() else []
    originals = real or [_made_video(folder, number) for number in range(MADE_VIDEOS)]
    paths = []
    for original in originals:
        for copy in range(VIDEO_COPIES):
            path = folder / f"copy{copy}_{original.name}"
            if not path.exists():
                path.symlink_to(original)
            paths.append(str(path))
    what = f"{len(originals)} {'real' if real else 'generated'} videos x {VIDEO_COPIES}"
    return sorted(paths), what


def _made_video(folder, number):
    import cv2  # pylint: disable=import-outside-toplevel
    path = folder / f"made_{number:02d}.avi"
    if path.exists():
        return path
    partial = folder / f"partial_{number:02d}.avi"
    writer = cv2.VideoWriter(str(partial), cv2.VideoWriter_fourcc(*"MJPG"), MADE_RATE, MADE_SIZE)
    if not writer.isOpened():
        raise BenchError("OpenCV can write no video here, and ../shared/data/clips is missing")
    random = np.random.default_rng(number)
    width, height = MADE_SIZE
    back = np.repeat(np.repeat(random.integers(0, 255, (height // 8, width // 8, 3), np.uint8), 8, 0), 8, 1)
    for index in range(MADE_RATE * MADE_SECONDS):
        frame = np.roll(back, index, axis=1)
        cv2.circle(frame, (index * 3 % width, height // 2), 60, (40, 200, 90), -1)
        writer.write(frame)
    writer.release()
    partial.rename(path)
    return path


def manifest(folder, modality, options, paths):
    """A folder for `relearn prepare manifest` with one modality whose media are `paths`."""
    folder = pathlib.Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    with open(folder / "manifest.csv", "w", newline="", encoding="utf-8") as file:
        rows = csv.writer(file)
        rows.writerow(["id", "split", "label", modality])
        for number, path in enumerate(paths):
            rows.writerow([f"s{number:05d}", "train", number % 2, path])
    lines = ["classes: ['0', '1']", "modalities:", f"  {modality}:", *(f"    {key}: {value}" for key, value in
                                                                    options.items())]
    (folder / "manifest.yaml").write_text("\n".join(lines) + "\n", encoding="utf-8")
    return str(folder)


SYNTHETIC_SETTINGS = """modalities:
  audio:
    kind: logmel
    sample_rate: 16000
    mel_bins: 128
    frames: 256
  visual:
    kind: frames
    clip_frames: 2
    height: 224
    width: 224
    crop: resized
    flip: 0.5
"""


def synthetic_store(settings, train, val):
    """A store of generated media: log-mel of 256 x 128, two pictures of 360 x 360 cropped to 224."""
    media, store = settings.data / f"synthetic-{train}-{val}", settings.data / f"synthetic-{train}-{val}.store"
    if store.exists():
        return str(store)
    note(f"generating {train + val} samples")
    if not media.exists():
        relearn(settings, "synth", "--out", media, "--classes", 6, "--train", train, "--val", val, "--test", 6,
                "--seconds", 2.6, "--frames", 2, "--picture-size", 360)
    (media / "manifest.yaml").write_text(SYNTHETIC_SETTINGS, encoding="utf-8")
    relearn(settings, "prepare", "manifest", "--from", media, "--to", store)
    return str(store)

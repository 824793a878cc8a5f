"""Compares what the built program makes of real files with the peers, in the environment that make_*.py need: log-mel with
torchaudio (float64), log-STFT and resampling with librosa, resizing with Pillow, optical flow with OpenCV. Run by tools/oracle.sh, which says
in RELEARN_BUILD where the build is; the files are those of ../shared/data/clips."""
import os
import pathlib
import subprocess
import sys
import tempfile
import wave

import cv2
import librosa
import numpy as np
from PIL import Image

import make_media

CLIPS = pathlib.Path(__file__).resolve().parents[3] / "shared" / "data" / "clips"
DUMP = os.path.join(os.environ["RELEARN_BUILD"], "tests", "tools", "media_dump")
failures = 0


def dump(*arguments):
    out = os.path.join(work, "out.npy")
    subprocess.run([DUMP, *map(str, arguments), out], check=True)
    return np.load(out)


def expect(what, good, figure):
    global failures
    failures += not good
    print("ok  " if good else "FAIL", what, figure)


def sounds():
    """16-bit WAVs of the clips' sound at their own rates: [(name, path)]."""
    found = []
    for clip in sorted(CLIPS.glob("*.*")):
        path = os.path.join(work, clip.name + ".wav")
        done = subprocess.run([DUMP, "wav", clip, "0", path], capture_output=True)
        if done.returncode == 0:
            found.append((clip.name, path))
    return found


def read_wav(path):
    with wave.open(path) as file:
        rate, channels = file.getframerate(), file.getnchannels()
        samples = np.frombuffer(file.readframes(file.getnframes()), "<i2").reshape(-1, channels).T
    return rate, samples.astype(np.float32) / 32768


def check_sound(name, path, kaldi, torch):
    rate, sound = read_wav(path)
    for target in (16000, 22050):
        if rate == target:
            continue
        peer = librosa.resample(sound, orig_sr=rate, target_sr=target, res_type="soxr_hq")
        ours = dump("sound", path, target)
        noise = np.sum((ours - peer).astype(np.float64) ** 2) if ours.shape == peer.shape else np.inf
        snr = 10 * np.log10(np.sum(peer.astype(np.float64) ** 2) / max(noise, 1e-30))
        expect(f"resampled {name} {rate} -> {target} Hz", snr > 60, f"{snr:.0f} dB")
    # Of the same resampled sound: where there is next to nothing, the logarithm shows float32's rounding of it.
    mono = dump("sound", path, 22050).astype(np.float64).mean(0)
    sample = np.clip(np.tile(mono, 3)[:66150], -1, 1)
    sample = np.pad(sample, (0, 66150 - len(sample)))
    for pad, mode in (("zeros", "constant"), ("reflect", "reflect")):
        peer = np.log(np.abs(librosa.stft(sample, n_fft=512, hop_length=353, pad_mode=mode)) + 1e-7)
        worst = np.abs(dump("stft", path, pad) - peer).max()
        expect(f"log-STFT {name} {pad}", worst < 1e-3, f"{worst:.1e}")
    wave64 = torch.from_numpy(sound.astype(np.float64))
    fbank = kaldi.fbank((wave64 - wave64.mean())[:1], htk_compat=True, sample_frequency=rate, use_energy=False,
                        window_type="hanning", num_mel_bins=128, dither=0.0, frame_shift=10.0)[:1024]
    peer = torch.zeros(1024, 128, dtype=torch.float64)
    peer[:len(fbank)] = fbank
    worst = np.abs(dump("logmel", path) - ((peer + 4.503877) / (2 * 5.141276)).numpy()).max()
    expect(f"log-mel {name}", worst < 1e-3, f"{worst:.1e}")


def frames(clip, count):
    """The first frames, at most 256 on the shorter side."""
    capture, found = cv2.VideoCapture(str(clip)), []
    while len(found) < count and (read := capture.read())[0]:
        frame = read[1]
        scale = 256 / min(frame.shape[:2])
        found.append(cv2.resize(frame, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA) if scale < 1 else frame)
    return found


def check_pictures(clip):
    film = frames(clip, 46)
    if len(film) < 12:
        return
    first = os.path.join(work, "first.png")
    second = os.path.join(work, "second.png")
    cv2.imwrite(first, film[0])
    peer = np.asarray(Image.open(first).resize((224, 224), Image.Resampling.BILINEAR)).astype(np.float64)
    near = np.mean(np.abs(dump("resize", first, 224, 224) - peer) <= 1)
    expect(f"resized {clip.name}", near >= 0.999, f"{100 * near:.2f} % within 1/255")
    for at in (len(film) // 4, len(film) * 3 // 4):
        pair = [cv2.cvtColor(frame, cv2.COLOR_BGR2GRAY) for frame in film[at:at + 2]]
        cv2.imwrite(first, pair[0])
        cv2.imwrite(second, pair[1])
        peer = cv2.optflow.DualTVL1OpticalFlow_create().calc(*pair, None)
        error = np.hypot(*(dump("flow", first, second) - np.moveaxis(peer, 2, 0))).mean()
        expect(f"flow {clip.name} frame {at}", error < 0.1, f"{error:.3f} px")


if not CLIPS.is_dir():
    print("SKIPPED: no ../shared/data/clips here")
    sys.exit(0)
with tempfile.TemporaryDirectory() as work:
    import torch
    torch.set_default_dtype(torch.float64)
    kaldi = make_media.load_kaldi(None)
    heard = sounds()
    for name, path in heard:
        check_sound(name, path, kaldi, torch)
    for clip in sorted(CLIPS.glob("*.*")):
        check_pictures(clip)
    expect("clips with sound", len(heard) >= 8, len(heard))
sys.exit(failures > 0)

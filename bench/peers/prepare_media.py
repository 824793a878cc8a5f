"""The Python scripts' side of prepare-*: prepare_media.py audio|video OUT WORKERS VARIANT FILE...

What the published scripts do, by worker processes that take the next file when they are free:
  audio  soundfile, torchaudio's Kaldi fbank, pad or cut to 1024 frames, normalise, one .npy a file
  video  OpenCV: every frame whose index is a multiple of the frame rate, one JPEG (quality 95) each;
         frames between are grabbed, not converted. VARIANT: threads of FFmpeg's decoder, 0 its default
Imports and the pool's start come before the clock. An iteration prepares all files.
Protocol on stdin and stdout: see Worker in bench/harness/measure.py."""
import importlib.util
import json
import multiprocessing
import pathlib
import resource
import sys
import time
import types

import numpy as np

FRAMES, MEAN, DEVIATION = 1024, -4.503877, 5.141276
STATE = {}


def load_kaldi():
    """Only this file of torchaudio: the rest loads libraries made for one version of torch."""
    folder = importlib.util.find_spec("torchaudio").submodule_search_locations[0]
    sys.modules["torchaudio"] = types.ModuleType("torchaudio")
    spec = importlib.util.spec_from_file_location("kaldi", pathlib.Path(folder) / "compliance" / "kaldi.py")
    kaldi = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(kaldi)
    return kaldi


def start_audio(out, _variant):
    import soundfile  # pylint: disable=import-outside-toplevel
    import torch  # pylint: disable=import-outside-toplevel
    torch.set_num_threads(1)
    STATE.update(out=out, torch=torch, soundfile=soundfile, kaldi=load_kaldi())


def prepare_audio(path):
    torch = STATE["torch"]
    samples, rate = STATE["soundfile"].read(path, dtype="float32", always_2d=True)
    wave = torch.from_numpy(samples.T)
    wave = wave - wave.mean()
    with torch.inference_mode():
        features = STATE["kaldi"].fbank(wave, htk_compat=True, sample_frequency=rate, use_energy=False,
                                        window_type="hanning", num_mel_bins=128, dither=0.0, frame_shift=10)
        missing = FRAMES - features.shape[0]
        features = torch.nn.functional.pad(features, (0, 0, 0, missing)) if missing > 0 else features[:FRAMES]
        features = (features - MEAN) / (2 * DEVIATION)
    np.save(f"{STATE['out']}/{pathlib.Path(path).stem}.npy", features.numpy())
    return 1


def start_video(out, variant):
    import cv2  # pylint: disable=import-outside-toplevel
    cv2.setNumThreads(1)
    STATE.update(out=out, cv2=cv2, threads=int(variant))


def prepare_video(path):
    cv2 = STATE["cv2"]
    options = [cv2.CAP_PROP_N_THREADS, STATE["threads"]] if STATE["threads"] else []
    video = cv2.VideoCapture(path, cv2.CAP_FFMPEG, options)
    rate = max(1, int(video.get(cv2.CAP_PROP_FPS)))
    folder = pathlib.Path(STATE["out"]) / pathlib.Path(path).stem
    folder.mkdir(exist_ok=True)
    index = written = 0
    while video.grab():
        if index % rate == 0:
            picture = video.retrieve()[1]
            written += 1
            cv2.imwrite(f"{folder}/frame_{written:05d}.jpg", picture, [cv2.IMWRITE_JPEG_QUALITY, 95])
        index += 1
    video.release()
    return written


KINDS = {"audio": (start_audio, prepare_audio), "video": (start_video, prepare_video)}


def main():
    kind, out, workers, variant, *files = sys.argv[1:]
    start, prepare = KINDS[kind]
    pathlib.Path(out).mkdir(parents=True, exist_ok=True)
    with multiprocessing.get_context("forkserver").Pool(int(workers), start, (out, variant)) as pool:
        done = sum(pool.imap_unordered(prepare, files))  # once before the clock: everything is loaded
        print(json.dumps({"items": done}), flush=True)
        for line in sys.stdin:
            seconds = []
            for _ in range(int(line.split()[1])):
                started = time.perf_counter()
                done = sum(pool.imap_unordered(prepare, files))
                seconds.append(time.perf_counter() - started)
            print(json.dumps({"seconds": seconds, "items": done, "peak_rss_kib":
                              resource.getrusage(resource.RUSAGE_SELF).ru_maxrss}), flush=True)


if __name__ == "__main__":
    main()

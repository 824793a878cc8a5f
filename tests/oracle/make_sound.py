"""Makes tests/golden/data/sound.safetensors: librosa's log-STFT in float64 as OGM-GE's preprocessing takes it, and its
resampling by soxr. Needs numpy, librosa and soxr."""
import librosa
import numpy as np
import soxr
from golden_file import write
from hash_fill import hash_fill

# name, rate, channels, samples, mono, repeats, seconds, n_fft, hop, pad mode, offset
STFT = [("default", 22050, 1, 4000, "mean", 3, 0.5, 512, 353, "constant", 1e-7),
        ("short", 22050, 2, 700, "mean", 2, 0.1, 512, 353, "constant", 1e-7),
        ("reflect", 8000, 2, 3000, "first", 1, 0.25, 256, 100, "reflect", 1e-3)]
RESAMPLE = [("up", 16000, 22050, 1500), ("down", 44100, 22050, 3001), ("odd", 11025, 16000, 1003)]

arrays = {}
for name, rate, channels, samples, mono, repeats, seconds, n_fft, hop, pad, offset in STFT:
    # A fifth of the samples is beyond full scale, and is clipped.
    sound = hash_fill(f"stft.{name}", (channels, samples), 1.25).astype(np.float64)
    sound = sound.mean(0) if mono == "mean" else sound[0]
    wanted = round(seconds * rate)
    sound = np.clip(np.tile(sound, repeats)[:wanted], -1, 1)
    sound = np.pad(sound, (0, wanted - len(sound)))
    spectrum = librosa.stft(sound, n_fft=n_fft, hop_length=hop, pad_mode=pad)
    arrays[f"stft.{name}"] = np.log(np.abs(spectrum) + offset).astype(np.float32)
for name, rate, target, samples in RESAMPLE:
    sound = np.floor(hash_fill(f"resample.{name}", (samples,)) * np.float32(16384)) / np.float32(32768)
    arrays[f"resample.{name}"] = librosa.resample(sound.astype(np.float32), orig_sr=rate, target_sr=target,
                                                  res_type="soxr_hq")
write("sound.safetensors", arrays, {"librosa": librosa.__version__, "soxr": soxr.__version__})

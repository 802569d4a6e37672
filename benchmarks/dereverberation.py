"""Late echo out, beside nara_wpe: python benchmarks/dereverberation.py --voices DIR [--talkers 4] [--mics 1 2 4]

Each talker of DIR in rooms that reverberate for 0.4 to 1.0 s, 2 to 3 m away. The reference is what arrives within 50 ms of the
direct sound. nara_wpe has the taps, delay and rounds of bss, on the whole recording; it is left out, and said, where it is not
installed. SI-SDR in dB, PESQ (wide band), STOI; then seconds for each second of sound, on one core.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Callable
from importlib.util import find_spec

import numpy as np
from denoising import RATE, scores
from scipy.signal import fftconvolve

import bss
from bss.backends.cpu import threads
from bss.networks import corpus
from bss.pipeline import dereverb

TIMES = (0.4, 0.6, 0.8, 1.0)  # s
EARLY = round(0.05 * RATE)
Method = Callable[[np.ndarray], np.ndarray]


def main() -> None:
    """Print a row for each method and number of microphones."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--voices", required=True, help="a folder with one folder per talker")
    parser.add_argument("--talkers", type=int, default=4, help="per reverberation time")
    parser.add_argument("--mics", type=int, nargs="+", default=[1, 2, 4])
    parser.add_argument("--seconds", type=float, default=12.0)
    options = parser.parse_args()
    voices = [v[: round(options.seconds * RATE)] for v in corpus.read([options.voices], RATE).voices()[: options.talkers]]
    rng = np.random.default_rng(0)
    heard = [in_a_room(voice, rt60, max(options.mics), rng) for rt60 in TIMES for voice in voices]
    methods: dict[str, Method] = {"input": np.copy, "bss": lambda x: bss.dereverberate(x, RATE)}
    if find_spec("nara_wpe") is None:
        print("nara_wpe is left out: pip install nara_wpe", file=sys.stderr)
    else:
        methods["nara_wpe"] = peer
    print("| microphones | | SI-SDR | PESQ | STOI | s/s |\n|---:|---|---:|---:|---:|---:|")
    with threads.limited(1):
        for mics in options.mics:
            for name, method in methods.items():
                clock = time.process_time()
                found = [method(x[:mics]) for x, _ in heard]
                spent = (time.process_time() - clock) / sum(x.shape[1] / RATE for x, _ in heard)
                mean = np.mean([scores(early, y[0]) for y, (_, early) in zip(found, heard, strict=True)], axis=0)
                print(f"| {mics} | {name} | {mean[0]:.2f} | {mean[1]:.3f} | {mean[2]:.3f} | {spent:.3f} |", flush=True)


def in_a_room(voice: np.ndarray, rt60: float, mics: int, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """What microphones 5 cm apart hear (M, n), and what the first of them hears early (n,)."""
    import pyroomacoustics as pra

    size = rng.uniform((5, 4, 2.6), (7, 6, 3.2))
    absorption, order = pra.inverse_sabine(rt60, size)
    room = pra.ShoeBox(size, fs=RATE, materials=pra.Material(absorption), max_order=min(order, 12), ray_tracing=True)
    talker = np.array([1.2, 1.2, 1.5])
    first = talker + np.array([rng.uniform(1.8, 2.5), rng.uniform(1, 2), 0])
    room.add_source(talker)
    room.add_microphone_array(np.stack([first + np.array([0.05 * k, 0, 0]) for k in range(mics)], axis=1))
    room.compute_rir()
    echoes = [room.rir[m][0] for m in range(mics)]
    direct = int(np.argmax(np.abs(echoes[0])))
    x = np.stack([fftconvolve(voice, h)[: len(voice)] for h in echoes])
    early = fftconvolve(voice, echoes[0][: direct + EARLY])[: len(voice)]
    gain = 0.3 / np.abs(x).max()
    return (gain * x).astype(np.float32), (gain * early).astype(np.float32)


def peer(x: np.ndarray) -> np.ndarray:
    """nara_wpe (Drude et al. 2018)."""
    from nara_wpe.wpe import wpe_v8

    stft = bss.Stft(512, 128)
    X = stft.forward(x)
    found = wpe_v8(X.astype(np.complex128), taps=dereverb.ROWS // len(x), delay=dereverb.DELAY, iterations=3)
    return np.asarray(stft.inverse(found.astype(np.complex64), x.shape[1]))


if __name__ == "__main__":
    main()

"""Real time: tracks come out two seconds after the sound, while the recording is being made.

    python examples/cookbook/real_time.py

On the command line: `arecord -f S16_LE -r 16000 -c 2 -t wav | bss unmix --live - -o - | aplay`.
"""

from __future__ import annotations

import time
from pathlib import Path

import numpy as np

import bss

VOICES = Path(__file__).resolve().parents[2] / "fixtures/voices"
RATE = 16_000
BLOCK = 320  # samples: 20 ms, as a sound card gives them


def main() -> None:
    voices = [bss.read([VOICES / f"{name}.flac"])[0][0] for name in ("edward", "fiona")]
    scene = bss.mix(voices, RATE, n_mics=2, rt60=0.2, seconds=16.0, rng=0)
    x = scene.mixture

    # beside=False learns in this thread, so that two runs are the same; with a sound card leave it out, and nothing waits
    live = bss.Live(len(x), RATE, n_sources=2, beside=False)
    out, ready, began = [], 0, time.perf_counter()
    for start in range(0, x.shape[1], BLOCK):
        out.append(live.push(x[:, start : start + BLOCK]))  # (N, j), j may be 0
        if not live.ready:
            ready = start + BLOCK
    out.append(live.flush())
    seconds = time.perf_counter() - began

    y = np.concatenate(out, axis=1)  # as long as x
    print(f"filters known after {ready / RATE:.1f} s, tracks at most {live.latency_seconds:.1f} s after the sound")
    share = seconds / (x.shape[1] / RATE)
    print(f"computing took {100 * share:.0f} % of the recording's time (more on the first run, as kernels compile)")
    later = slice(ready, None)
    scores = bss.score(scene.images[:, 0, later], y[:, later], mixture=x[:, later])
    print(f"mean gain: {scores.mean['si_sdr_improvement']:.1f} dB")


if __name__ == "__main__":
    main()

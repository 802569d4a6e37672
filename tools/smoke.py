"""The main job, once: a scene, its separation, the scores. For versions of dependencies that the whole suite is not run with.

python tools/smoke.py
"""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

VOICES = Path(__file__).resolve().parents[1] / "fixtures/voices"


def main() -> int:
    """0 if two talkers come apart by more than 10 dB, on a mixing desk and with an echo that is made here."""
    import numpy as np
    from scipy.signal import oaconvolve

    import bss

    (a, rate), (b, _) = bss.read(VOICES / "edward.flac"), bss.read(VOICES / "fiona.flac")
    n = 4 * rate
    dry = np.stack([a[0, :n], b[0, :n]])
    rng = np.random.default_rng(0)
    echo = rng.standard_normal((2, 2, 400)) * np.exp(-np.arange(400) / 40)
    room = oaconvolve(dry[:, None], echo, axes=2)[:, :, :n].astype(np.float32)
    desk = np.array([[1.0, 0.6], [0.5, 1.0]], np.float32).T[:, :, None] * dry[:, None]
    for name, images, least in (("mixing desk", desk, 15.0), ("echo", room, 5.0)):
        result = bss.unmix(images.sum(0) / 4, rate, n_sources=2)
        better = float(np.mean(bss.score(images[:, 0] / 4, result.sources, mixture=images[:, 0].sum(0) / 4).si_sdr_improvement))
        print(f"{name}: {result.record.method}, {better:.1f} dB better")
        if better < least:
            return 1
    with tempfile.TemporaryDirectory() as folder:
        bss.write(Path(folder) / "mic 1.flac", room.sum(0) / 8, rate)
        bss.read(Path(folder) / "mic 1.flac")
    return 0


if __name__ == "__main__":
    sys.exit(main())

"""The heart of an unborn child in an electrocardiogram of its mother's belly: no delays, so plain ICA, as in scikit-learn.

    python examples/cookbook/foetal_ecg.py

Electrodes are features here, samples are rows. Needs the extra `sklearn`; `bss.fastica(x)` does the same with (M, n) arrays.
"""

from __future__ import annotations

import numpy as np

from bss.estimators import FastICA

RATE = 250  # Hz
SECONDS = 30
# of each wave of a heartbeat: where in the beat (radians), how wide, how high; P. McSharry et al., IEEE TBME 50(3), 2003
WAVES = {"P": (-1.05, 0.25, 0.1), "Q": (-0.26, 0.1, -0.12), "R": (0.0, 0.1, 1.0), "S": (0.26, 0.1, -0.2), "T": (1.57, 0.4, 0.3)}


def heart(per_minute: float, rng: np.random.Generator) -> np.ndarray:
    """(n,) an electrocardiogram whose beats are up to some per cent longer or shorter."""
    n = SECONDS * RATE
    wander = np.interp(np.arange(n), np.arange(0, n + RATE, RATE), rng.normal(1, 0.04, SECONDS + 1))
    phase = np.cumsum(2 * np.pi * per_minute / 60 / RATE * wander)
    angles = [np.angle(np.exp(1j * (phase - centre))) for centre, _, _ in WAVES.values()]
    return sum(
        height * np.exp(-(angle**2) / (2 * width**2))
        for angle, (_, width, height) in zip(angles, WAVES.values(), strict=True)
    )  # fmt: skip


def rate_of(y: np.ndarray) -> float:
    """Beats per minute: the lag at which a component is most like itself, from 40 to 200."""
    y = (y - y.mean()) / y.std()
    lags = range(RATE * 60 // 200, RATE * 60 // 40)
    alike = [np.mean(y[lag:] * y[:-lag]) for lag in lags]
    return 60 * RATE / lags[int(np.argmax(alike))]


def main() -> None:
    rng = np.random.default_rng(0)
    t = np.arange(SECONDS * RATE) / RATE
    mother, child = heart(72, rng), heart(141, rng)
    S = np.c_[mother, 0.15 * child, 0.5 * np.sin(2 * np.pi * 0.25 * t), 0.1 * np.sin(2 * np.pi * 50 * t)]  # breath, mains
    X = S @ rng.uniform(0.3, 1.0, (4, 6)) + 0.002 * rng.standard_normal((len(t), 6))  # six electrodes

    Y = FastICA(n_components=4).fit_transform(X)

    beats = [rate_of(y) for y in Y.T]
    k = int(np.argmin(np.abs(np.array(beats) - 140)))  # hearts of unborn children beat 110 to 160 times a minute
    before = max(abs(np.corrcoef(x, child)[0, 1]) for x in X.T)
    print(f"beats per minute: {beats[k]:.0f} (true: 141), and those of the mother {rate_of(mother):.0f}")
    print(f"correlation with the child's heart: {before:.2f} at the best electrode")
    print(f"correlation: {abs(np.corrcoef(Y[:, k], child)[0, 1]):.3f}")


if __name__ == "__main__":
    main()

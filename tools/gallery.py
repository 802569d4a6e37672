"""The pictures and sounds of docs/gallery.md, made from the voices of fixtures/voices, with the numbers that stand there.

    python tools/gallery.py            # writes docs/pictures/gallery-*.png and docs/sounds/*.mp3, and prints the table
    python tools/gallery.py phones --out somewhere

What is heard is an excerpt. A case has one gain for the microphone and all tracks, so that levels compare. Needs matplotlib.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

import bss
from bss.scenes.faults import Drift, Offset

ROOT = Path(__file__).resolve().parents[1]
RATE = 16_000
EXCERPT = slice(4 * RATE, 8 * RATE)
PEAK = 0.7
LOWEST_DB, HIGHEST_DB = -70.0, -15.0  # of the pictures, below the loudest bin


@dataclass(frozen=True)
class Case:
    """What is shown: signals (n,) by name, the microphone first; and the gain in dB, mean over talkers."""

    signals: dict[str, np.ndarray]
    gain_db: float


def voices(*names: str) -> list[np.ndarray]:
    """(n,) each."""
    return [bss.read([ROOT / f"fixtures/voices/{name}.flac"])[0][0] for name in names]


def shown(scene: bss.Scene, sources: np.ndarray, **more: np.ndarray) -> Case:
    """The first microphone of a scene, `more`, and the tracks (N, n) in the order of the talkers."""
    scores = bss.score(scene.images[:, 0], sources, mixture=scene.mixture)
    talkers = {f"talker {k + 1}": sources[j] for k, j in enumerate(scores.permutation) if j >= 0}
    return Case({"microphone": scene.mixture[0], **more, **talkers}, float(scores.mean["si_sdr_improvement"]))


def two_talkers() -> Case:
    """Two talkers, two microphones."""
    scene = bss.mix(voices("edward", "fiona"), RATE, n_mics=2, rt60=0.3, seconds=9.5, rng=0)
    return shown(scene, bss.unmix(scene.mixture, RATE, n_sources=2).sources)


def four_talkers() -> Case:
    """Four talkers, four microphones; the tracks of two are shown."""
    scene = bss.mix(voices("edward", "fiona", "george", "helena"), RATE, n_mics=4, rt60=0.3, seconds=9.5, rng=0)
    case = shown(scene, bss.unmix(scene.mixture, RATE, n_sources=4).sources)
    return Case({name: case.signals[name] for name in ("microphone", "talker 1", "talker 2")}, case.gain_db)


def phones() -> Case:
    """Three phones out of step, without and with what bss does about it."""
    faults = [Offset(0.7, mic=1), Drift(60, mic=2)]
    scene = bss.mix(voices("george", "helena"), RATE, n_mics=3, spacing=0.3, rt60=0.2, seconds=9.5, faults=faults, rng=2)
    left = shown(scene, bss.unmix(scene.mixture, RATE, n_sources=2, sync="off").sources)
    case = shown(scene, bss.unmix(scene.mixture, RATE, n_sources=2).sources)
    out_of_step = {"talker 1, left out of step": left.signals["talker 1"]}
    return Case({"microphone": scene.mixture[0], **out_of_step, "talker 1": case.signals["talker 1"]}, case.gain_db)


def noise() -> Case:
    """A talker and a fan: `bss.denoise`."""
    (voice,) = voices("diane")
    rng = np.random.default_rng(0)
    t = np.arange(voice.size) / RATE
    fan = sum(rng.uniform(0.3, 1) / k * np.sin(2 * np.pi * (97 * k * t + rng.uniform())) for k in range(1, 30))
    fan = fan * (1 + 0.3 * np.sin(2 * np.pi * 7 * t)) + 0.5 * rng.standard_normal(voice.size)
    x = (voice + fan * voice.std() / fan.std() * 10 ** (-5 / 20)).astype(np.float32)
    y = bss.denoise(x[None], RATE)[0]
    return Case({"microphone": x, "without noise": y}, float(bss.si_sdr(voice, y) - bss.si_sdr(voice, x)))


CASES: dict[str, Callable[[], Case]] = {
    "two-talkers": two_talkers, "four-talkers": four_talkers, "phones": phones, "noise": noise,
}  # fmt: skip


def draw(case: Case, path: Path) -> None:
    """Spectrograms of the excerpts side by side, on one scale."""
    import matplotlib as mpl

    mpl.use("Agg")
    import matplotlib.pyplot as plt

    powers = {name: np.abs(bss.Stft(512, 256).forward(y[None, EXCERPT])[:, 0]) ** 2 for name, y in case.signals.items()}
    top = max(power.max() for power in powers.values())
    colours = plt.get_cmap("magma", 10)  # of few colours a picture is half as large
    figure, axes = plt.subplots(1, len(powers), figsize=(3.2 * len(powers), 2.6), sharey=True, layout="constrained")
    for axis, (name, power) in zip(axes, powers.items(), strict=True):
        level = 10 * np.log10(np.maximum(power / top, 10 ** (LOWEST_DB / 10)))
        seconds = (EXCERPT.stop - EXCERPT.start) / RATE
        axis.imshow(
            level,
            origin="lower",
            aspect="auto",
            extent=(0, seconds, 0, RATE / 2000),
            cmap=colours,
            vmin=LOWEST_DB,
            vmax=HIGHEST_DB,
        )
        axis.set(title=name, xlabel="seconds", xticks=range(4))
    axes[0].set_ylabel("kHz")
    figure.savefig(path, dpi=64, metadata={"Software": None})
    plt.close(figure)


def write(name: str, case: Case, out: Path) -> list[Path]:
    """The picture and the sounds of a case; their paths."""
    for folder in ("pictures", "sounds"):
        (out / folder).mkdir(parents=True, exist_ok=True)
    written = [out / f"pictures/gallery-{name}.png"]
    draw(case, written[0])
    gain = PEAK / max(np.abs(y[EXCERPT]).max() for y in case.signals.values())
    for heard, y in case.signals.items():
        written.append(out / f"sounds/{name}-{heard.replace(',', '').replace(' ', '-')}.mp3")
        written[-1].unlink(missing_ok=True)
        bss.write(written[-1], (gain * y[None, EXCERPT]).astype(np.float32), RATE)
    return written


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("cases", nargs="*", choices=[*CASES, []], help="all by default")
    arguments.add_argument("--out", type=Path, default=ROOT / "docs")
    given = arguments.parse_args()
    for name in given.cases or CASES:
        case = CASES[name]()
        sizes = [path.stat().st_size / 1000 for path in write(name, case, given.out)]
        print(f"{name}: gain {case.gain_db:.1f} dB, {len(sizes)} files, {sum(sizes):.0f} kB, the largest {max(sizes):.0f} kB")


if __name__ == "__main__":
    main()

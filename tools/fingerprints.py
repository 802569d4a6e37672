"""Whether a change of the code changes a result: SHA-256 of the tracks of some thirty runs of `bss.unmix`.

    python tools/fingerprints.py before           # before the change: tracks and hashes into the folder `before`
    python tools/fingerprints.py after --against before

The second call prints a row for each run: the same bytes, or by how many dB the tracks differ. The recordings are made once, into
the folder of the first call, so that a change of the simulator is not taken for one of the separation. Hashes are of one machine.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import soundfile

import bss
from bss.scenes.acoustics.rooms import Layout, respond

VOICES = Path(__file__).resolve().parents[1] / "fixtures/voices"
NAMES = ("edward", "fiona", "carlos", "diane", "george", "helena", "arno", "bella")
RATE = 16_000


def voices(n: int, first: int, seconds: float) -> list[np.ndarray]:
    """That many fixture voices, from the middle."""
    found = [soundfile.read(VOICES / f"{NAMES[(first + k) % len(NAMES)]}.flac", dtype="float32")[0] for k in range(n)]
    size = round(seconds * RATE)
    return [v[(v.size - size) // 2 :][:size] for v in found]


def scene(n_sources: int, n_mics: int, seed: int, seconds: float = 9.7, **options: Any) -> np.ndarray:
    """(M, n) what the microphones of a simulated scene record."""
    return bss.mix(voices(n_sources, seed, seconds), RATE, n_mics=n_mics, rng=seed, **options).mixture


def close_mics(n: int) -> np.ndarray:
    """(n, samples) talkers in a row, each with a microphone of their own at 30 cm."""
    from scipy.signal import oaconvolve

    mics = np.array([[2.0 + 1.5 * k, 2.5, 1.2] for k in range(n)])
    rirs = respond(Layout((3.5 + 1.5 * n, 5.0, 3.0), mics, mics + np.array([0.05, 0.3, 0.1])), 0.25, RATE).rirs
    images = [[oaconvolve(v, h)[: v.size] for h in row] for v, row in zip(voices(n, 0, 9.7), rirs, strict=True)]
    x = np.sum(images, axis=0)
    noise = 1e-4 * np.random.default_rng(0).standard_normal(x.shape)
    return np.asarray(0.5 * x / np.abs(x).max() + noise, np.float32)


def at_48k(x: np.ndarray) -> np.ndarray:
    import soxr

    return np.ascontiguousarray(soxr.resample(x.T, RATE, 48_000).T, np.float32)


RECORDINGS: dict[str, tuple[Callable[[], np.ndarray], int]] = {
    "desk2": (lambda: scene(2, 2, 0, instantaneous=True, snr_db=40.0), RATE),
    "desk3": (lambda: scene(3, 3, 1, instantaneous=True, snr_db=40.0), RATE),
    "desk2of4": (lambda: scene(2, 4, 2, instantaneous=True, snr_db=40.0), RATE),
    "room2": (lambda: scene(2, 2, 3, rt60=0.3), RATE),
    "room3": (lambda: scene(3, 3, 4, rt60=0.25), RATE),
    "room4": (lambda: scene(4, 4, 5, rt60=0.2), RATE),
    "room2of4": (lambda: scene(2, 4, 6, rt60=0.3), RATE),
    "room3on2": (lambda: scene(3, 2, 7, rt60=0.15), RATE),
    "room1of2": (lambda: scene(1, 2, 8, rt60=0.3), RATE),
    "short": (lambda: scene(2, 2, 9, seconds=2.0, rt60=0.2), RATE),
    "noisy": (lambda: scene(2, 2, 10, rt60=0.3, snr_db=10.0), RATE),
    "close2": (lambda: close_mics(2), RATE),
    "close3": (lambda: close_mics(3), RATE),
    "room2at48k": (lambda: at_48k(scene(2, 2, 11, rt60=0.25)), 48_000),
    "room3at48k": (lambda: at_48k(scene(3, 3, 12, rt60=0.2)), 48_000),
}

# name of the run: recording, options of bss.unmix, and "denoise" where the tracks are denoised
RUNS: dict[str, tuple[str, dict[str, Any]]] = {
    **{f"desk2 {m}": ("desk2", {"method": m}) for m in ("auto", "fastica", "infomax")},
    "desk3 auto": ("desk3", {}),
    "desk2of4 told 2": ("desk2of4", {"n_sources": 2}),
    "desk2 per mic": ("desk2", {"per_mic": True}),
    **{f"room2 {m}": ("room2", {"method": m}) for m in ("auto", "auxiva", "fdica", "ilrma", "neural", "cacgmm")},
    **{f"room2 {e}": ("room2", {"effort": e}) for e in ("fast", "best")},
    "room2 ilrma best": ("room2", {"method": "ilrma", "effort": "best"}),
    "room2 reference 2": ("room2", {"reference_mic": 1}),
    "room2 seed 3": ("room2", {"rng": 3, "method": "ilrma"}),
    "room2 denoised": ("room2", {"denoise": 0.8}),
    "room3 counted": ("room3", {}),
    "room3 ilrma": ("room3", {"n_sources": 3, "method": "ilrma"}),
    "room3 told 2 of 3": ("room3", {"n_sources": 2}),
    "room4 told": ("room4", {"n_sources": 4}),
    "room2of4 counted": ("room2of4", {}),
    "room2of4 told": ("room2of4", {"n_sources": 2}),
    "room2of4 auxiva": ("room2of4", {"n_sources": 2, "method": "auxiva"}),
    "room2of4 fast": ("room2of4", {"n_sources": 2, "effort": "fast"}),
    "room2of4 best": ("room2of4", {"n_sources": 2, "effort": "best"}),
    "room3on2 told": ("room3on2", {"n_sources": 3}),
    "room3on2 reference 2": ("room3on2", {"n_sources": 3, "reference_mic": 1}),
    "room1of2 counted": ("room1of2", {}),
    "short auto": ("short", {}),
    "noisy auto": ("noisy", {}),
    "noisy denoised": ("noisy", {"denoise": 1.0}),
    "close2 per mic": ("close2", {"per_mic": True}),
    "close3 per mic": ("close3", {"per_mic": True}),
    "close3 per mic ilrma": ("close3", {"per_mic": True, "method": "ilrma"}),
    "room2 per mic": ("room2", {"per_mic": True}),
    "room2at48k auto": ("room2at48k", {}),
    "room2at48k fast": ("room2at48k", {"effort": "fast"}),
    "room2at48k denoised": ("room2at48k", {"denoise": 0.7}),
    "room3at48k told": ("room3at48k", {"n_sources": 3}),
}  # fmt: skip


def recording(name: str, folder: Path) -> tuple[np.ndarray, int]:
    """The samples of a recording, made when first asked for."""
    make, rate = RECORDINGS[name]
    path = folder / f"{name}.npy"
    if not path.is_file():
        np.save(path, make())
    return np.load(path), rate


def run(x: np.ndarray, rate: int, options: dict[str, Any]) -> tuple[dict[str, np.ndarray], str, dict[str, Any]]:
    """All tracks of a run by name, its method, and what the estimate of success and the counting say."""
    strength = options.get("denoise")
    result = bss.unmix(x, rate, **{key: value for key, value in options.items() if key != "denoise"})
    if strength is not None:
        result = result.denoised(strength)
    said = {key: result.info[key] for key in ("success", "counting", "n_sources")}
    return result.tracks(linear=True), result.method, said


def power(y: np.ndarray) -> float:
    """Sum of squares."""
    return float(np.sum(np.square(y, dtype=np.float64)))


def difference(old: dict[str, np.ndarray], new: dict[str, np.ndarray]) -> float:
    """Power of the largest difference of two tracks in dB of the loudest track: a residual may be nothing but roundings."""
    if any(old[name].shape != new[name].shape for name in old):
        return float("inf")
    changed = max(power(new[name].astype(np.float64) - old[name]) for name in old)
    return float(10 * np.log10(changed / max(power(y) for y in old.values()) + np.finfo(np.float64).tiny))


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--against", type=Path)
    parser.add_argument("--only", default="")
    given = parser.parse_args()
    given.folder.mkdir(parents=True, exist_ok=True)
    source = given.against or given.folder
    before = json.loads((source / "fingerprints.json").read_text()) if given.against else {}
    rows, differing = {}, 0
    for name, (which, options) in RUNS.items():
        if given.only not in name:
            continue
        tracks, method, said = run(*recording(which, source), options)
        digest = {key: hashlib.sha256(np.ascontiguousarray(y).tobytes()).hexdigest() for key, y in tracks.items()}
        rows[name] = {"method": method, "tracks": digest, "said": said}
        np.savez(given.folder / f"{name}.npz", **{key.replace("/", "-"): y for key, y in tracks.items()})
        text = " ".join(digest[key][:12] for key in sorted(digest))
        if given.against:
            same = before[name]["tracks"] == digest and before[name]["method"] == method
            differing += not same
            text = "same bytes" if same else compared(before[name], source / f"{name}.npz", method, tracks)
            text += "" if before[name]["said"] == json.loads(json.dumps(said)) else "; says something else"
        print(f"{name:24} {method:14} {text}", flush=True)
    (given.folder / "fingerprints.json").write_text(json.dumps(rows, indent=1) + "\n")
    print(f"{len(rows)} runs" + (f", {differing} of them differ" if given.against else ""))
    return 1 if differing else 0


def compared(before: dict[str, Any], path: Path, method: str, tracks: dict[str, np.ndarray]) -> str:
    """What differs, in words."""
    if before["method"] != method or set(before["tracks"]) != set(tracks):
        return f"DIFFERS: {before['method']} with {sorted(before['tracks'])} before, now {sorted(tracks)}"
    with np.load(path) as file:
        old = {key: file[key.replace("/", "-")] for key in tracks}
    return f"differs by {difference(old, tracks):.1f} dB"


if __name__ == "__main__":
    sys.exit(main())

"""A source model from folders of speech: scenes are rehearsed, the network is trained on them, and speech gets its likeness.

Rehearsed scenes lie beside the model in a folder of their own until the training is over, one file for each seed: who is
interrupted goes on with those that are there.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from bss.errors import InputError
from bss.networks import checkpoint, corpus
from bss.networks.source_model import speech
from bss.networks.source_model.apply import SPEECH_PREFIX
from bss.networks.source_model.model import KIND, SourceModelConfig
from bss.networks.source_model.training import fit, of_scenes
from bss.pipeline.rehearsal import rehearse

KEPT_SHARE = 0.1  # of the scenes: by talkers whom nothing else is learned from
FEWEST_TALKERS = 8  # scenes have up to four, those of the validation are by others
Progress = Callable[[float, dict[str, float]], Any]


def learn(
    speech: Sequence[str | os.PathLike[str]],
    out: str | os.PathLike[str],
    *,
    scenes: int = 200,
    seed: int = 0,
    resume: bool = False,
    hold_out: Sequence[str] = (),
    rehearsed: Callable[[float], Any] | None = None,
    progress: Progress | None = None,
    **options: Any,
) -> dict[str, Any]:
    """Train a source model and write `out`.safetensors, `out`.csv; what was done, in values that JSON can hold.

    Parameters
    ----------
    speech : list of path
        Folders of clean speech, a folder for each talker.
    out : path
        Where to, without ending.
    scenes : int
        How many scenes to simulate and separate.
    seed, resume
        As of every training.
    hold_out : list of str
        Talkers that are left out.
    rehearsed, progress : callable, optional
        Called with the share of the scenes that are there, and as of every training.
    **options
        Of `source_training.fit`.

    Raises
    ------
    InputError
        There are too few talkers.
    """
    config = SourceModelConfig()
    people = corpus.read(speech, config.rate, hold_out=hold_out)
    if len(people.people()) < FEWEST_TALKERS:
        raise InputError(
            f"there are {len(people.people())} talkers", f"scenes of up to four take {FEWEST_TALKERS}", "speech of more people"
        )
    share = max(0.1, 4 / len(people.people()))
    learned, kept = corpus.split(people, share, np.random.default_rng(seed))
    place = Path(f"{os.fspath(out)}.scenes")
    if not resume:
        shutil.rmtree(place, ignore_errors=True)
    n_kept = max(2, round(KEPT_SHARE * scenes))
    voices, others = learned.voices(), kept.voices()
    done = []
    for k in range(scenes):
        done.append(_scene(place, others if k < n_kept else voices, config.rate, seed, k))
        if rehearsed is not None:
            rehearsed((k + 1) / scenes)
    device = str(options.get("device", "cpu"))
    held, seen = of_scenes(done[:n_kept], device), of_scenes(done[n_kept:], device)
    words = {"talkers": len(learned.people()), "validation_talkers": len(kept.people()), "scenes": scenes}
    report = fit(seen, held, out, seed=seed, resume=resume, extra=words, progress=progress, **options)
    add_likeness(f"{os.fspath(out)}.safetensors", [track for tracks, _ in done[n_kept:] for track in tracks])
    shutil.rmtree(place)
    return report


def add_likeness(path: str | os.PathLike[str], tracks: Sequence[np.ndarray]) -> None:
    """Into the file of a source model: what separated speech is like, so that it can step aside for other sounds."""
    held = checkpoint.load(path, KIND)
    known = speech.fit(list(tracks))
    tensors = dict(held.tensors) | {
        f"{SPEECH_PREFIX}{name}": checkpoint.tensor(getattr(known, name)) for name in ("mean", "scale", "precision")
    }
    checkpoint.save(path, tensors, SourceModelConfig(**held.config), kind=KIND, extra=held.extra)


def _scene(place: Path, voices: Sequence[np.ndarray], rate: int, seed: int, k: int) -> tuple[np.ndarray, np.ndarray]:
    """Tracks and truth (N, n) of a scene: from its file, or separated and then kept there."""
    file = place / f"{k}.npz"
    if not file.is_file():
        example = rehearse(voices, rate, seed * 1_000_003 + k)
        place.mkdir(parents=True, exist_ok=True)
        unfinished = place / f".{k}.part"
        with open(unfinished, "wb") as writing:
            np.savez(writing, tracks=example.tracks, truth=example.truth)
        unfinished.replace(file)
    with np.load(file) as found:
        return found["tracks"], found["truth"]

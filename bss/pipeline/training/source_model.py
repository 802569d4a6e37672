"""A source model from folders of speech: scenes are simulated and separated, and the network is trained on them.

Separated scenes are kept in a folder beside the model until the training is over, one file for each seed, so that an interrupted
training continues with those that are there.
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
from bss.networks.source_model import speech as speech_measures
from bss.networks.source_model.apply import SPEECH_PREFIX
from bss.networks.source_model.model import KIND, SourceModelConfig
from bss.networks.source_model.training import fit, of_scenes
from bss.pipeline.training.scenes import training_scene

VALIDATION_SHARE = 0.1  # of the scenes, and of the talkers, who are in no other scene
MOST_TALKERS = 4  # of a scene
FEWEST_TALKERS = 2 * MOST_TALKERS  # scenes to train on and to validate with have different ones
Progress = Callable[[float, dict[str, float]], Any]


def train_source_model(
    speech: Sequence[str | os.PathLike[str]],
    out: str | os.PathLike[str],
    *,
    scenes: int = 200,
    seed: int = 0,
    resume: bool = False,
    hold_out: Sequence[str] = (),
    simulated: Callable[[float], Any] | None = None,
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
        How many to simulate and separate.
    seed, resume
        As in every training.
    hold_out : list of str
        Talkers to leave out.
    simulated : callable, optional
        Called with the share of the scenes that are done.
    progress : callable, optional
        As in every training.
    **options
        Of `networks.source_model.training.fit`.

    Raises
    ------
    InputError
        There are too few talkers.
    """
    config = SourceModelConfig()
    people = corpus.read(speech, config.rate, hold_out=hold_out)
    if len(people.talkers()) < FEWEST_TALKERS:
        raise InputError(
            f"there are {len(people.talkers())} talkers",
            f"scenes of up to {MOST_TALKERS} need {FEWEST_TALKERS}, half of them for validation",
            "speech of more people",
        )
    share = max(VALIDATION_SHARE, MOST_TALKERS / len(people.talkers()))
    learned, kept = corpus.split(people, share, np.random.default_rng(seed))
    place = Path(f"{os.fspath(out)}.scenes")
    if not resume:
        shutil.rmtree(place, ignore_errors=True)
    n_kept = max(2, round(VALIDATION_SHARE * scenes))
    voices, others = learned.voices(), kept.voices()
    done = []
    for k in range(scenes):
        done.append(_scene(place, others if k < n_kept else voices, config.rate, seed, k))
        if simulated is not None:
            simulated((k + 1) / scenes)
    device = str(options.get("device", "cpu"))
    held, seen = of_scenes(done[:n_kept], device), of_scenes(done[n_kept:], device)
    words = {"talkers": len(learned.talkers()), "validation_talkers": len(kept.talkers()), "scenes": scenes}
    report = fit(seen, held, out, seed=seed, resume=resume, extra=words, progress=progress, **options)
    add_speech_distribution(f"{os.fspath(out)}.safetensors", [track for tracks, _ in done[n_kept:] for track in tracks])
    shutil.rmtree(place)
    return report


def add_speech_distribution(path: str | os.PathLike[str], tracks: Sequence[np.ndarray]) -> None:
    """Add to the file of a source model what separated speech is like, so that other sounds are not taken for speech."""
    held = checkpoint.load(path, KIND)
    known = speech_measures.fit(list(tracks))
    tensors = dict(held.tensors) | {
        f"{SPEECH_PREFIX}{name}": checkpoint.tensor(getattr(known, name)) for name in ("mean", "scale", "precision")
    }
    checkpoint.save(path, tensors, SourceModelConfig(**held.config), kind=KIND, extra=held.extra)


def _scene(place: Path, voices: Sequence[np.ndarray], rate: int, seed: int, k: int) -> tuple[np.ndarray, np.ndarray]:
    """Tracks and truth (N, n) of a scene: from its file, or newly separated and then saved there."""
    file = place / f"{k}.npz"
    if not file.is_file():
        example = training_scene(voices, rate, seed * 1_000_003 + k)
        place.mkdir(parents=True, exist_ok=True)
        unfinished = place / f".{k}.part"
        with open(unfinished, "wb") as writing:
            np.savez(writing, tracks=example.tracks, truth=example.truth)
        unfinished.replace(file)
    with np.load(file) as scene:
        return scene["tracks"], scene["truth"]

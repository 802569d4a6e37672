"""Sounds to train on, from folders of audio files: all in one array, and who is speaking in which part of it."""

from __future__ import annotations

import os
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from bss.errors import InputError, UsageError
from bss.signals.files.audio import load
from bss.signals.files.paths import AUDIO_SUFFIXES, natural_key

SHORTEST_SECONDS = 0.5  # of a clip
SILENCE = 1e-4  # amplitude, -80 dBFS: what stays below it for SHORTEST_SECONDS is cut out


@dataclass(frozen=True)
class Corpus:
    """Clips one after another in `samples` (n,) float32; clip k is [starts[k], ends[k]), by the talker or label names[k]."""

    samples: np.ndarray
    starts: np.ndarray
    ends: np.ndarray
    names: tuple[str, ...]
    rate: int

    @property
    def seconds(self) -> float:
        """How long all of it lasts."""
        return len(self.samples) / self.rate

    def talkers(self) -> list[str]:
        """The names, each once, sorted."""
        return sorted(set(self.names))

    def only(self, names: Sequence[str]) -> Corpus:
        """The clips of these names."""
        keep = [k for k, name in enumerate(self.names) if name in set(names)]
        return of_clips([self.samples[self.starts[k] : self.ends[k]] for k in keep], [self.names[k] for k in keep], self.rate)

    def voices(self) -> list[np.ndarray]:
        """One array (n,) for each name, all of its clips."""
        return [self.only([name]).samples for name in self.talkers()]


def of_clips(clips: Sequence[np.ndarray], names: Sequence[str], rate: int) -> Corpus:
    """A corpus of clips (n_k,) and their names."""
    ends = np.cumsum([len(clip) for clip in clips], dtype=np.int64)
    samples = np.concatenate(clips) if clips else np.zeros(0, np.float32)
    return Corpus(samples.astype(np.float32), np.concatenate(([0], ends[:-1])).astype(np.int64), ends, tuple(names), rate)


def read(folders: Sequence[str | os.PathLike[str]], rate: int, *, hold_out: Sequence[str] = (), sets: bool = False) -> Corpus:
    """All audio in the folders and below them, as one channel at one rate.

    A clip is named after the folder it is in; where all clips are in one folder, after the beginning of the file name, up
    to a double underscore or the first digit, as sets of noises do: `002_Rain__1.flac` is `002_Rain`.

    Parameters
    ----------
    folders : list of path
        Folders, or files.
    rate : int
        Hz; files of other rates are resampled.
    hold_out : list of str
        Names, or parts of names, or of file names, to leave out.
    sets : bool
        Whether each of `folders` is a set of its own, as those of noises are: the clips of one may lie side by side, those of
        another in folders.

    Raises
    ------
    InputError
        There is no audio, or none is left.
    UsageError
        Nothing has a name that is to be held out.
    """
    groups = [[folder] for folder in folders] if sets else [folders]
    named = [clip for group in groups for clip in names_in(group)]
    for word in hold_out:
        if not any(word in name or word in file.stem for file, name in named):
            names = ", ".join(sorted({name for _, name in named})[:20])
            raise UsageError(f"--hold-out {word}: no talker or noise has that in its name", hint=f"part of one of {names}")
    named = [(file, name) for file, name in named if not any(word in name or word in file.stem for word in hold_out)]
    clips: list[np.ndarray] = []
    kept: list[str] = []
    for file, name in named:
        recording = load([file])
        sound = without_silence(resampled(recording.x[0], recording.rate, rate), rate)
        if len(sound) >= SHORTEST_SECONDS * rate:
            clips.append(sound)
            kept.append(name)
    if not clips:
        what = ", ".join(os.fspath(folder) for folder in folders)
        raise InputError(
            f"there is nothing to train on in {what}",
            "no clip lasts long enough",
            "a folder with audio files, or folders of them",
        )
    return of_clips(clips, kept, rate)


def names_in(folders: Sequence[str | os.PathLike[str]]) -> list[tuple[Path, str]]:
    """The audio files in folders that belong together, and what each is called."""
    files = [file for folder in folders for file in audio_files(Path(folder))]
    flat = len({file.parent for file in files}) == 1
    return [(file, label(file) if flat else file.parent.name) for file in files]


def audio_files(place: Path) -> list[Path]:
    """The audio files in a folder and below it, in natural order; of a file, the file itself."""
    if place.is_file():
        return [place]
    if not place.is_dir():
        raise InputError(f"{place} does not exist", hint="a folder of audio files")
    files = [p for p in place.rglob("*") if p.suffix.lower() in AUDIO_SUFFIXES and not p.name.startswith(".")]
    if not files:
        raise InputError(f"the folder {place} holds no audio files", hint="another folder")
    return sorted(files, key=natural_key)


def label(file: Path) -> str:
    """The name of a noise: the beginning of its file name."""
    stem = file.stem.split("__")[0]
    return re.match(r"\d*[^\d]*", stem).group().rstrip("_- ") or stem  # type: ignore[union-attr]


def resampled(x: np.ndarray, rate: int, wanted: int) -> np.ndarray:
    """x (n,) at another rate."""
    if rate == wanted:
        return x
    from bss.signals.resample import resample

    return np.asarray(resample(x[None], rate, wanted)[0])


def without_silence(x: np.ndarray, rate: int) -> np.ndarray:
    """x without stretches of digital silence, with which sets of noises pad their clips."""
    block = max(1, int(SHORTEST_SECONDS * rate))
    parts = [x[k : k + block] for k in range(0, len(x), block)]
    audible = [part for part in parts if np.abs(part).max(initial=0) > SILENCE]
    return np.asarray(np.concatenate(audible)) if audible else x[:0]


def split(corpus: Corpus, share: float, rng: np.random.Generator) -> tuple[Corpus, Corpus]:
    """What to train on, and what to validate with: a share of the talkers, all of whose clips are kept out of training."""
    talkers = corpus.talkers()
    if len(talkers) < 2:
        raise InputError("all speech is of one talker", "another one is needed for validation", "speech of two talkers or more")
    count = min(max(1, round(share * len(talkers))), len(talkers) - 1)
    chosen = set(rng.permutation(talkers)[:count].tolist())
    return corpus.only([t for t in talkers if t not in chosen]), corpus.only(sorted(chosen))

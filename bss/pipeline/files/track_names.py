"""What the files of a separation are called, and what result.json says of the files of the recording."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from bss.signals.files.parts import Channel

SUBTYPES = {"pcm16": "PCM_16", "pcm24": "PCM_24", "pcm32": "PCM_32", "float": "FLOAT"}


class Origin(Protocol):
    """A recording from files."""

    @property
    def channels(self) -> tuple[Channel, ...]:
        """Where each of the M signals comes from."""

    @property
    def subtype(self) -> str:
        """Sample format of the first file."""


def track_names(recording: Origin, used: tuple[int, ...], n_sources: int, *, per_mic: bool) -> tuple[str, ...]:
    """source1 ..., or with --per-mic the names of the microphones, numbered if they are not unique."""
    if not per_mic:
        return tuple(f"source{k + 1}" for k in range(n_sources))
    names: list[str] = []
    for channel in (recording.channels[k] for k in used):
        stem = Path(channel.file).stem if channel.file != "-" else "stdin"
        only = sum(c.file == channel.file for c in recording.channels) == 1
        name = base = stem if only else f"{stem}-{channel.index + 1}"
        count = 1
        while name in names or name == "residual":
            count += 1
            name = f"{base}-{count}"
        names.append(name)
    return tuple(names)


def leftovers(folder: Path, written: Iterable[str]) -> str:
    """A sentence on tracks of an earlier run, which could be mistaken for new ones; empty if there are none."""
    tracks = [p for pattern in ("source*.wav", "noise*.wav", "residual.wav") for p in sorted(folder.glob(pattern))]
    old = [p.name for p in tracks if p.name not in set(written)]
    return f"{', '.join(old)} in {folder} are from an earlier run" if old else ""


def subtype_of(recording: Origin, wanted: str) -> str:
    """The sample format of the tracks, as named by soundfile."""
    from bss.signals.files.writing import writable_subtype

    return SUBTYPES[wanted] if wanted != "same" else writable_subtype("WAV", recording.subtype)[1]


def input_files(recording: Origin) -> list[str]:
    """The files of the recording, each once."""
    return list(dict.fromkeys(channel.file for channel in recording.channels))


def channel_map(recording: Origin) -> list[dict[str, Any]]:
    """File and channel of each microphone."""
    return [{"mic": k + 1, "file": c.file, "channel": c.index + 1} for k, c in enumerate(recording.channels)]

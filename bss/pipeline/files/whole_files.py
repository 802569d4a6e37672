"""From a recording in memory to files: tracks and result.json, all of them or none."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bss.pipeline import stitch
from bss.pipeline.files.track_names import Origin, channel_map, input_files, subtype_of, track_names
from bss.pipeline.files.unfinished import forget
from bss.pipeline.methods.shared.base import Progress
from bss.pipeline.planning.plan import Plan
from bss.pipeline.record import DenoisedRecord, MicRecord
from bss.pipeline.result import LINEAR, Unmixed, noise_names
from bss.signals.files.audio import Recording
from bss.signals.files.writing import output_folder

if TYPE_CHECKING:
    from bss.pipeline.record import RunRecord


@dataclass(frozen=True)
class FileOptions:
    """What becomes of the tracks.

    Attributes
    ----------
    subtype : str
        A name of `SUBTYPES`, or "same" for that of the recording.
    clip : {"common", "keep"}
        As of `Unmixed.save`.
    linear : bool
        Whether the tracks before the source model and denoising are written, too.
    keep_noise : bool
        Whether every sound that is no talker is written by itself.
    strength : float or None
        Share of the noise that is removed from the tracks; None for none.
    dereverb : bool
        Whether late echo is taken out of them before.
    overwrite : bool
        Whether existing files may be replaced.
    asked : dict
        What was asked for, for result.json.
    """

    subtype: str = "same"
    clip: str = "common"
    linear: bool = False
    keep_noise: bool = False
    strength: float | None = None
    dereverb: bool = False
    overwrite: bool = False
    asked: dict[str, Any] = field(default_factory=dict)

    @property
    def with_linear(self) -> bool:
        """Whether linear tracks are written if there are any."""
        return self.linear or self.cleaned is not None

    @property
    def cleaned(self) -> DenoisedRecord | None:
        """What is done to the tracks after the separation; None for nothing."""
        if self.strength is None and not self.dereverb:
            return None
        return DenoisedRecord(self.strength or 0.0, self.dereverb)


def announced(origin: Origin, plan: Plan, files: FileOptions) -> list[str]:
    """All files that may be written; of sounds that are no talkers, and of talkers more than were counted, mostly none is."""
    # where more sounds are separated than were counted, another may turn out to be a talker
    most = max(plan.n_talkers, plan.n_sources, len(plan.used))
    names = track_names(origin, plan.used, most, per_mic=plan.options.per_mic)
    rest = ["residual"] if plan.leaves_residual else []
    found = [f"{name}.wav" for name in (*names, *rest, *noise_names(plan))]
    return [*found, *(f"{LINEAR}{name}.wav" for name in names if files.with_linear), "result.json"]


def separate(recording: Recording, plan: Plan, files: FileOptions, *, progress: Progress | None = None) -> Unmixed:
    """Separate as planned; tracks are named after microphones if each talker has one."""
    result = stitch.separate(plan, progress=progress)
    if files.cleaned is not None:
        result = result.denoised(files.cleaned.strength, dereverb=files.dereverb)
    names = track_names(recording, plan.used, len(result.sources), per_mic=plan.options.per_mic)
    return replace(result, names=names, keep_noise=files.keep_noise)


def separate_to(
    folder: str | Path, recording: Recording, plan: Plan, files: FileOptions, *, seconds: dict[str, float],
    progress: Progress | None = None,
) -> tuple[Unmixed, dict[str, Any]]:  # fmt: skip
    """Separate as planned, and write tracks and result.json into a folder; the result, and the contents of result.json.

    Raises
    ------
    InputError
        As of `output_folder`.
    SolverError
        As of `stitch.separate`.
    """
    inputs = input_files(recording)
    n_tracks = plan.n_talkers * (1 + files.with_linear) + plan.leaves_residual
    needed = 4 * recording.x.shape[1] * (1 + n_tracks)
    names = announced(recording, plan, files)
    with output_folder(folder, names, overwrite=files.overwrite, needed_bytes=needed, inputs=inputs) as place:
        result = separate(recording, plan, files, progress=progress)
        record = of_files(result.record, recording, recording.repairs, files, seconds)
        subtype = subtype_of(recording, files.subtype)
        document = replace(result, record=record).write_into(place, subtype=subtype, clip=files.clip, linear=files.with_linear)
    forget(Path(folder))  # tracks that are whole have taken the place of an unfinished run
    return result, document


def of_files(
    record: RunRecord, origin: Origin, repairs: Sequence[str], files: FileOptions, seconds: dict[str, float]
) -> RunRecord:
    """A record with what is known of the files of the recording, and what was asked for."""
    return replace(
        record,
        inputs=input_files(origin),
        channel_map=[MicRecord(**row) for row in channel_map(origin)],
        repairs=list(repairs),
        options=files.asked,
        seconds={**{k: round(v, 3) for k, v in seconds.items()}, **record.seconds},
    )

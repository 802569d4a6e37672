"""The result of `unmix`."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from bss.pipeline.filters.filters import Filters
from bss.pipeline.record import DenoisedRecord, RunRecord

if TYPE_CHECKING:
    from bss.pipeline.planning.plan import Plan

NOISE = "noise"
LINEAR = "linear/"  # a subfolder, so that they are not mistaken for more talkers


@dataclass(frozen=True)
class Unmixed:
    """One track per talker, and the record of the separation.

    Attributes
    ----------
    sources : np.ndarray
        (N, n) float32 image of each talker at the reference microphone, sample 0 being sample 0 of the input.
    residual : np.ndarray or None
        (n,) the reference microphone minus the sources; None if the sources add up to it.
    rate : int
        Hz.
    names : tuple[str, ...]
        File names of the sources, without suffix.
    record : RunRecord
        What was measured, chosen and done; `info` is the same as a dict.
    filters : Filters
        The learned filters, for other recordings of the same microphones: `result.filters.apply(x)`. Where talkers were
        followed, those near the end of the recording.
    linear : np.ndarray or None
        (N, n) the sources before the learned source model was applied; speech recognisers often do better with them.
    noise : np.ndarray or None
        (K, n) float32 images of other sounds that are no talkers at the reference microphone; None if there are none.
    keep_noise : bool
        Whether `tracks` has every other sound by itself: noise1, noise2 ...; otherwise their sum, noise.
    filters_over_time : sequence of Filters
        Where talkers were followed, the filters of every second; else the only ones.
    """

    sources: np.ndarray
    residual: np.ndarray | None
    rate: int
    names: tuple[str, ...]
    record: RunRecord = field(repr=False)
    filters: Filters = field(repr=False)
    linear: np.ndarray | None = field(default=None, repr=False)
    noise: np.ndarray | None = field(default=None, repr=False)
    keep_noise: bool = False
    filters_over_time: Sequence[Filters] = field(default=(), repr=False)

    @property
    def method(self) -> str:
        """The method that was used."""
        return self.record.method

    @property
    def reason(self) -> str:
        """Why it was chosen, in one line."""
        return self.record.reason

    @property
    def warnings(self) -> tuple[str, ...]:
        """Reasons to doubt the result, and channels that were left out."""
        return tuple(self.record.warnings)

    @property
    def info(self) -> dict[str, Any]:
        """The record as a dict for JSON: channels, findings, evidence, iterations, loss, timings, versions, seed."""
        return self.record.to_dict()

    def tracks(self, *, linear: bool = False) -> dict[str, np.ndarray]:
        """Name to signal (n,) of all files: the sources, other sounds, the residual, and if requested the linear tracks."""
        tracks = dict(zip(self.names, self.sources, strict=True))
        if self.noise is not None:
            apart = self.keep_noise and len(self.noise) > 1
            tracks |= {f"{NOISE}{k + 1}": y for k, y in enumerate(self.noise)} if apart else {NOISE: self.noise.sum(0)}
        if self.residual is not None:
            tracks["residual"] = self.residual
        if linear and self.linear is not None:
            tracks |= {f"{LINEAR}{name}": y for name, y in zip(self.names, self.linear, strict=True)}
        return tracks

    def denoised(self, strength: float = 1.0, *, dereverb: bool = False) -> Unmixed:
        """The same with noise removed from the sources, as by `bss.denoise`, and added to the residual if there is one.

        With `dereverb` late echo goes first, as by `bss.dereverberate` of all sources together. `linear` are the tracks before
        all this and the source model.
        """
        from bss.networks.denoiser.denoise import denoise
        from bss.pipeline.dereverb import dereverberate

        dry = dereverberate(self.sources, self.rate) if dereverb else self.sources
        quiet = denoise(dry, self.rate, strength=strength)
        residual = None if self.residual is None else self.residual + (self.sources - quiet).sum(0)
        linear = self.sources if self.linear is None else self.linear
        entry = replace(self.record, denoised=DenoisedRecord(strength, dereverb))
        return replace(self, sources=quiet, residual=residual, linear=linear, record=entry)

    def save(
        self,
        folder: str | PathLike[str],
        *,
        subtype: str = "FLOAT",
        clip: str = "common",
        overwrite: bool = False,
        linear: bool = False,
    ) -> dict[str, Any]:
        """Write source1.wav ..., noise.wav and residual.wav if there is one, and result.json; all of them or none.

        Parameters
        ----------
        folder : path
            Created if it does not exist.
        subtype : str
            Sample format of the WAV files, as named by soundfile.
        clip : {"common", "keep"}
            If tracks would clip, lower all by one common gain, which is in result.json; or keep the levels and write float.
        overwrite : bool
            Replace existing files.
        linear : bool
            Also write the linear tracks, if there are any, as linear/source1.wav ....

        Returns
        -------
        dict
            The contents of result.json.

        Raises
        ------
        InputError
            A file already exists, or the folder cannot be written.
        """
        from bss.signals.files.writing import output_folder

        with output_folder(folder, self.file_names(linear=linear), overwrite=overwrite) as out:
            return self.write_into(out, subtype=subtype, clip=clip, linear=linear)

    def file_names(self, *, linear: bool = False) -> list[str]:
        """The files that `save` writes."""
        return [*(f"{name}.wav" for name in self.tracks(linear=linear)), "result.json"]

    def write_into(self, out: Any, *, subtype: str, clip: str, linear: bool = False) -> dict[str, Any]:
        """Write into an open `output_folder`."""
        tracks, gain, subtype = leveled(self.tracks(linear=linear), subtype, clip)
        for name, y in tracks.items():
            out.audio(f"{name}.wav", y[None], self.rate, format="WAV", subtype=subtype)
        outputs = [f"{name}.wav" for name in tracks]
        document = replace(self.record, gain=gain, subtype=subtype, outputs=outputs).to_dict()
        out.text("result.json", json.dumps(document, indent=2, allow_nan=False) + "\n")
        return document

    def report(self, path: str | PathLike[str], *, mixture: np.ndarray | None = None, overwrite: bool = False) -> Path:
        """Write the listening report: one HTML page with a player of all tracks, who speaks when, and how well it worked.

        Parameters
        ----------
        path : path
            The page.
        mixture : np.ndarray, optional
            (M, n) the recording, to be heard beside the tracks; without it the sum of the tracks is.
        overwrite : bool
            Replace an existing page.

        Returns
        -------
        Path
            The page.

        Raises
        ------
        InputError
            The page exists, the mixture is another recording, or the extra `report` is not installed.
        """
        from bss.pipeline import reporting

        return reporting.of_arrays(self.tracks(), self.rate, self.record, path, mixture=mixture, overwrite=overwrite)

    def to_dict(self) -> dict[str, Any]:
        """The record as a dict."""
        return self.record.to_dict()


def noise_names(plan: Plan) -> list[str]:
    """The tracks of other sounds that a separation may find, beside talkers."""
    if plan.options.per_mic or plan.options.n_sources == len(plan.used):
        return []
    return [NOISE, *(f"{NOISE}{k + 1}" for k in range(len(plan.used)))]


def leveled(tracks: dict[str, np.ndarray], subtype: str, clip: str) -> tuple[dict[str, np.ndarray], float, str]:
    """Tracks, the common gain applied to them, and the subtype that can represent them."""
    from bss.errors import check_choice
    from bss.signals.files.writing import common_gain

    if check_choice("clip", clip, ("common", "keep")) == "keep":
        loudest = max(float(np.abs(y).max()) for y in tracks.values())
        return tracks, 1.0, "FLOAT" if loudest > 1.0 and subtype != "DOUBLE" else subtype
    gain = common_gain(tracks.values(), subtype)
    if gain != 1.0:
        tracks = {name: y * np.float32(gain) for name, y in tracks.items()}
    return tracks, gain, subtype

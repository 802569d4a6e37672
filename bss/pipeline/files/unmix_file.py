"""`unmix_file`: from files to files, however long the recording is."""

from __future__ import annotations

import logging
import os
import time
from collections.abc import Sequence
from dataclasses import dataclass, field, fields
from pathlib import Path

from bss.errors import check_choice
from bss.networks.files import Weights
from bss.pipeline.files.track_names import SUBTYPES
from bss.pipeline.files.whole_files import FileOptions, separate_to
from bss.pipeline.filters.filters import Filters
from bss.pipeline.methods.shared.base import Method, Progress
from bss.pipeline.planning.options import UnmixOptions
from bss.pipeline.record import RunRecord, from_dict
from bss.pipeline.resources import costs, memory
from bss.signals.files.audio import Recording
from bss.signals.files.blocks import FileBlocks, Files, open_blocks


@dataclass(frozen=True)
class UnmixedFiles:
    """What `unmix_file` has written.

    Attributes
    ----------
    folder : Path
        With the tracks and result.json.
    names : tuple[str, ...]
        The talkers' tracks, without suffix.
    record : RunRecord
        The contents of result.json.
    filters : Filters
        What was learned; where filters changed over time, the last ones.
    """

    folder: Path
    names: tuple[str, ...]
    record: RunRecord = field(repr=False)
    filters: Filters = field(repr=False)

    def report(self, path: str | os.PathLike[str] | None = None, *, overwrite: bool = False) -> Path:
        """Write the listening report, one HTML page: by default report.html in the folder. Returns its path.

        Raises
        ------
        InputError
            The page exists, a track is missing, or the extra `report` is not installed.
        """
        from bss.pipeline import reporting

        return reporting.of_folder(self.folder, path, overwrite=overwrite)


def unmix_file(
    files: Files,
    out: str | os.PathLike[str],
    *,
    n_sources: int | None = None,
    method: str | Method = "auto",
    effort: str = "normal",
    reference_mic: int = 0,
    per_mic: bool = False,
    device: str = "auto",
    rng: int = 0,
    weights: Weights = None,
    sync: str = "auto",
    channels: Sequence[int] | None = None,
    start: float = 0.0,
    end: float | None = None,
    subtype: str = "same",
    clip: str = "common",
    linear: bool = False,
    keep_noise: bool = False,
    denoise: float | None = None,
    dereverb: bool = False,
    overwrite: bool = False,
    max_memory: int | str | None = None,
    resume: bool = False,
    progress: Progress | None = None,
) -> UnmixedFiles:
    """Separate a recording in files into files, in bounded memory: what `bss unmix` does.

    A recording that fits into the memory is read as a whole, and separated as by `unmix`. A longer one is read, separated and
    written in pieces.

    Parameters
    ----------
    files : path or sequence of paths
        The microphones of one recording: files, folders, globs.
    out : path
        Folder for source1.wav ..., noise.wav and residual.wav if there is one, (n,) samples each as in the recording, and
        result.json: all of them or none.
    n_sources, method, effort, reference_mic, per_mic, device, rng, weights, sync, channels
        As of `unmix`. Channels of one file are taken to be of one recorder.
    start, end : float
        The part of the recording, in seconds.
    subtype : {"same", "pcm16", "pcm24", "pcm32", "float"}
        Sample format of the tracks.
    clip : {"common", "keep"}
        If tracks would clip, lower all by one common gain; or keep the levels and write float.
    linear : bool
        Also write the tracks before the source model and denoising, to linear/.
    keep_noise : bool
        Write every sound that is no talker by itself.
    denoise : float, optional
        Share of the noise that is removed from the tracks.
    dereverb : bool
        Take late echo out of the tracks, as `dereverberate` does, before their noise.
    overwrite : bool
        Replace existing files.
    max_memory : int or str, optional
        Bytes, or a size such as "2G". By default BSS_MAX_MEMORY, or a quarter of the machine's memory and at most 4 GiB.
    resume : bool
        Continue a run that was ended from outside, from what it left in `out`.
    progress : callable, optional
        Called with the fraction that is done, 0 to 1.

    Returns
    -------
    UnmixedFiles

    Raises
    ------
    InputError
        A file cannot be read, or changes while it is read; there are fewer than two usable channels; the disk is full.
    UsageError
        An option is invalid; the memory is too small; an unfinished run was one of other files or options.
    SolverError
        The solver diverged in single and in double precision.

    Examples
    --------
    >>> import bss, tempfile, numpy as np
    >>> s = np.random.default_rng(0).laplace(0, 0.05, size=(2, 16_000)).astype(np.float32)
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     bss.write(folder + "/x.wav", np.array([[1.0, 0.6], [0.5, 1.0]], np.float32) @ s, 16_000)
    ...     done = bss.unmix_file(folder + "/x.wav", folder + "/sources")
    ...     done.names, sorted(path.name for path in done.folder.iterdir())
    (('source1', 'source2'), ['result.json', 'source1.wav', 'source2.wav'])
    """
    wanted = UnmixOptions(
        n_sources, method, effort, reference_mic, per_mic, device, rng, weights, sync,
        channels if channels is None else tuple(channels),
    )  # fmt: skip
    chosen = file_options(
        wanted, start=start, end=end, subtype=subtype, clip=clip, linear=linear, keep_noise=keep_noise, denoise=denoise,
        dereverb=dereverb, overwrite=overwrite,
    )  # fmt: skip
    budget = memory.budget(max_memory)
    clock = time.perf_counter()
    with open_blocks(files, start=start, end=end) as blocks:
        return separate_blocks(blocks, Path(out), wanted, chosen, budget, resume=resume, clock=clock, progress=progress)


def file_options(
    wanted: UnmixOptions, *, start: float = 0.0, end: float | None = None, subtype: str = "same", clip: str = "common",
    linear: bool = False, keep_noise: bool = False, denoise: float | None = None, dereverb: bool = False,
    overwrite: bool = False,
) -> FileOptions:  # fmt: skip
    """What becomes of the tracks, and what was asked for with it; UsageError for what is invalid."""
    check_choice("subtype", subtype, ("same", *SUBTYPES))
    check_choice("clip", clip, ("common", "keep"))
    asked = {
        **{entry.name: getattr(wanted, entry.name) for entry in fields(wanted)}, "method": wanted.method_name,
        "weights": None if wanted.weights is None else str(wanted.weights), "start": start, "end": end, "subtype": subtype,
        "clip": clip, "linear": linear, "keep_noise": keep_noise, "denoise": denoise, "dereverb": dereverb,
    }  # fmt: skip
    return FileOptions(subtype, clip, linear, keep_noise, denoise, dereverb, overwrite, asked)


def separate_blocks(
    blocks: FileBlocks, folder: Path, wanted: UnmixOptions, chosen: FileOptions, budget: memory.Budget, *, resume: bool,
    clock: float, progress: Progress | None = None,
) -> UnmixedFiles:  # fmt: skip
    """Separate a recording that is open into a folder; `clock` is when its reading began."""
    if costs.fits(blocks, wanted, budget) and not resume:
        return _whole(blocks, folder, wanted, chosen, clock, progress)
    costs.refuse(blocks, wanted, budget)
    return _streamed(blocks, folder, wanted, chosen, budget, resume, progress)


def _whole(
    blocks: FileBlocks, folder: Path, options: UnmixOptions, files: FileOptions, clock: float, progress: Progress | None
) -> UnmixedFiles:
    from bss.pipeline.planning.plan import plan

    recording = whole(blocks)
    devices = [channel.file for channel in blocks.channels]
    decided = plan(recording.x, recording.rate, options, names=blocks.names, devices=devices)
    seconds = {"read": time.perf_counter() - clock - sum(decided.seconds.values())}
    result, document = separate_to(folder, recording, decided, files, seconds=seconds, progress=progress)
    return UnmixedFiles(folder, result.names, from_dict(document), result.filters)


def whole(blocks: FileBlocks) -> Recording:
    """The recording in memory."""
    return Recording(blocks.whole(), blocks.rate, blocks.channels, blocks.format, blocks.subtype, blocks.repairs)


def _streamed(
    blocks: FileBlocks, folder: Path, options: UnmixOptions, files: FileOptions, budget: memory.Budget, resume: bool,
    progress: Progress | None,
) -> UnmixedFiles:  # fmt: skip
    from bss.pipeline.files.stream_files import Job, stream_to

    job = Job(blocks, options, files, budget.bytes, resume, progress, logging.getLogger("bss").info)
    done = stream_to(folder, job)
    return UnmixedFiles(folder, done.names, done.record, done.filters)

"""Which method, with which window, and why."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from bss.pipeline.analysis.delay_free import DelayEvidence
from bss.pipeline.analysis.recording import Analysis
from bss.pipeline.methods import close_mics, registry
from bss.pipeline.methods.base import Method
from bss.pipeline.methods.close_mics import CLOSE_MICS
from bss.pipeline.methods.effort import EFFORTS
from bss.pipeline.methods.one_talker import ONE_TALKER
from bss.pipeline.options import UnmixOptions
from bss.signals.stft import Stft

TITLES = {"fdica": "FD-ICA", "ilrma": "FD-ICA and ILRMA", "neural": "FD-ICA and the learned source model"}


@dataclass(frozen=True)
class Choice:
    """The method and its window, and why.

    Attributes
    ----------
    method : Method
        What separates.
    stft : Stft or None
        Its window; None for a method that works on samples.
    reason : str
        One line for people.
    delays : DelayEvidence
        Whether the mixing is free of delays.
    warnings : tuple[str, ...]
        What speaks against a method that was asked for, or against the result.
    evidence : dict
        The numbers behind the reason.
    """

    method: Method
    stft: Stft | None
    reason: str
    delays: DelayEvidence
    warnings: tuple[str, ...] = ()
    evidence: dict[str, Any] = field(default_factory=dict)


def choose(analysis: Analysis, n_sources: int, options: UnmixOptions) -> Choice:
    """The method for so many talkers.

    A method that was asked for is kept, with a warning where the recording speaks against it. Otherwise plain ICA where the
    mixing is free of delays, masks where there are more talkers than microphones, and FD-ICA in a room.

    Raises
    ------
    InputError
        The recording is too short for any window.
    """
    many = n_sources > analysis.n_mics
    delays = analysis.delays(None if many else n_sources)
    if not options.auto:
        return _as_asked(registry.resolve(options.method), analysis, delays, many)
    if many:
        masks = registry.by_name("cacgmm")
        why = f"there are more talkers ({n_sources}) than microphones ({analysis.n_mics})"
        return _with(masks, analysis, delays, f"masks (cACGMM) {{window}}, because {why}")
    if delays.delay_free:
        return _with(registry.by_name("fastica"), analysis, delays, f"FastICA, because {delays.sentence}")
    if options.per_mic:
        return _per_mic(analysis, n_sources, delays, options)
    if n_sources == 1:
        long = _room_method(analysis, n_sources, options).window(analysis.x.shape[1], analysis.rate)  # refuses what is too short
        assert long is not None
        reason = "none is needed: there is one talker, and the track is what the reference microphone recorded"
        return Choice(ONE_TALKER, None, reason, delays, (), _evidence(delays))
    return _with(_room_method(analysis, n_sources, options), analysis, delays, f"{{title}} {{window}}: {delays.sentence}")


def _room_method(analysis: Analysis, n_sources: int, options: UnmixOptions) -> Method:
    """FD-ICA, and behind it what the effort allows."""
    effort = EFFORTS[options.effort]
    if effort.passes and not options.per_mic:
        return registry.by_name("neural")
    return registry.by_name("ilrma" if effort.ilrma and n_sources == analysis.n_mics else "fdica")


def _per_mic(analysis: Analysis, n_sources: int, delays: DelayEvidence, options: UnmixOptions) -> Choice:
    """FD-ICA in the order of the microphones if everyone has one; else what is best for a room, with a warning."""
    agreement = close_mics.agreement(analysis.subset)
    evidence = _evidence(delays, agreement)
    if agreement is not None and agreement >= close_mics.AGREEING:
        reason = "FD-ICA in the order of the microphones {window}: every talker has a microphone of their own"
        return _with(CLOSE_MICS, analysis, delays, reason, evidence=evidence)
    why = "the recording is too short to tell" if agreement is None else f"{100 * agreement:.0f} % of the frequencies agree"
    warning = f"tracks may be of the wrong talker: not everyone seems to have a microphone of their own ({why})"
    method = _room_method(analysis, n_sources, options)
    return _with(method, analysis, delays, f"{{title}} {{window}}: {delays.sentence}", warnings=(warning,), evidence=evidence)


def _as_asked(method: Method, analysis: Analysis, delays: DelayEvidence, many: bool) -> Choice:
    warnings: tuple[str, ...] = ()
    if method.needs.delay_free and not delays.delay_free:
        warnings = (f"{method.name} cannot separate this recording well: {delays.sentence}; try --method auto",)
    elif not method.needs.delay_free and delays.delay_free and not many:
        warnings = (f"FastICA would separate this recording better: {delays.sentence}; try --method auto",)
    return _with(method, analysis, delays, f"{method.name} {{window}}, as asked", warnings=warnings)


def _with(
    method: Method,
    analysis: Analysis,
    delays: DelayEvidence,
    reason: str,
    *,
    warnings: tuple[str, ...] = (),
    evidence: dict[str, Any] | None = None,
) -> Choice:
    """The choice of a method, with its title and its window in the reason."""
    stft = method.window(analysis.x.shape[1], analysis.rate)
    words = "" if stft is None else f"with windows of {1e3 * stft.n_fft / analysis.rate:.0f} ms"
    reason = reason.replace(" {window}", f" {words}" if words else "").replace("{title}", TITLES.get(method.name, method.name))
    return Choice(method, stft, reason, delays, warnings, _evidence(delays) if evidence is None else evidence)


def _evidence(delays: DelayEvidence, agreement: float | None = None) -> dict[str, Any]:
    """The numbers behind a choice, as result.json holds them."""
    return {**delays.to_dict(), "own_mics_agreement": agreement and round(agreement, 3)}

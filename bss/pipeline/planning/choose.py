"""The choice of the method and its window, and the reason."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from bss.pipeline.analysis.delay_free import DelayEvidence
from bss.pipeline.analysis.recording import Analysis
from bss.pipeline.methods import close_mics, registry
from bss.pipeline.methods.close_mics import CLOSE_MICS, LIKELY_CLOSE_MICS
from bss.pipeline.methods.one_talker import ONE_TALKER
from bss.pipeline.methods.own_tracks import OWN_TRACKS
from bss.pipeline.methods.shared.base import Method
from bss.pipeline.methods.shared.effort import EFFORTS
from bss.pipeline.planning.options import UnmixOptions
from bss.signals.stft import Stft

TITLES = {"fdica": "FD-ICA", "ilrma": "FD-ICA and ILRMA", "neural": "FD-ICA and the learned source model"}


@dataclass(frozen=True)
class Choice:
    """The method and its window, and the reason.

    Attributes
    ----------
    method : Method
        The separation method.
    stft : Stft or None
        Its window; None for a method that works in the time domain.
    reason : str
        One line.
    delays : DelayEvidence
        Whether the mixture is instantaneous.
    warnings : tuple[str, ...]
        Why a requested method may not suit the recording, or the result may be wrong.
    evidence : dict
        The measurements behind the reason, for result.json.
    """

    method: Method
    stft: Stft | None
    reason: str
    delays: DelayEvidence
    warnings: tuple[str, ...] = ()
    evidence: dict[str, Any] = field(default_factory=dict)


def choose(analysis: Analysis, n_sources: int, options: UnmixOptions, *, shared: bool = True) -> Choice:
    """The method for n_sources talkers.

    A requested method is kept, with a warning if the recording does not suit it. Otherwise it is none for microphones that share
    no sound (`shared`), plain ICA for an instantaneous mixture, masks for more talkers than microphones, and FD-ICA in a room.

    Raises
    ------
    InputError
        The recording is too short for any window.
    """
    underdetermined = n_sources > analysis.n_mics
    delays = analysis.delays(None if underdetermined else n_sources)
    if not options.auto:
        return _requested(registry.resolve(options.method), analysis, delays, underdetermined)
    if underdetermined:
        masks = registry.by_name("cacgmm")
        reason = f"time-frequency masks (cACGMM): there are more talkers ({n_sources}) than microphones ({analysis.n_mics})"
        return _choice(masks, analysis, delays, reason)
    if not shared:
        return _unshared(analysis, n_sources, delays, options)
    if delays.delay_free:
        return _choice(registry.by_name("fastica"), analysis, delays, f"FastICA: {delays.sentence}")
    if options.per_mic:
        return _per_mic(analysis, n_sources, delays, options)
    if n_sources == 1:
        _room_method(analysis, n_sources, options).window(analysis.x.shape[1], analysis.rate)  # InputError if too short
        reason = "none: there is only one talker, so the track is the recording of the reference microphone"
        return Choice(ONE_TALKER, None, reason, delays, (), _evidence(delays))
    method = _room_method(analysis, n_sources, options)
    return _choice(method, analysis, delays, _in_a_room(method, delays))


def _unshared(analysis: Analysis, n_sources: int, delays: DelayEvidence, options: UnmixOptions) -> Choice:
    """No method for a talker per microphone: plain ICA would find no delays where there is nothing to compare."""
    if n_sources == analysis.n_mics:
        reason = "none: the microphones share no sound, so that the tracks are their recordings"
        return Choice(OWN_TRACKS, None, reason, delays, (), _evidence(delays))
    method = _room_method(analysis, n_sources, options)
    return _choice(method, analysis, delays, f"{TITLES.get(method.name, method.name)}: the microphones share no sound")


def _room_method(analysis: Analysis, n_sources: int, options: UnmixOptions) -> Method:
    """FD-ICA, followed by what the effort allows."""
    effort = EFFORTS[options.effort]
    if effort.passes and not options.per_mic:
        return registry.by_name("neural")
    return registry.by_name("ilrma" if effort.ilrma and n_sources == analysis.n_mics else "fdica")


def _per_mic(analysis: Analysis, n_sources: int, delays: DelayEvidence, options: UnmixOptions) -> Choice:
    """FD-ICA in the order of the microphones if every talker has one; else the method for a room, with a warning."""
    agreement = close_mics.agreement(analysis.subset)
    evidence = _evidence(delays, agreement)
    if agreement is not None and agreement >= close_mics.AGREEING:
        reason = "FD-ICA in the order of the microphones: every talker has a microphone"
        return _choice(CLOSE_MICS, analysis, delays, reason, evidence=evidence)
    if agreement is not None and agreement >= close_mics.LIKELY:
        reason = "FD-ICA in the order of the microphones: every talker seems to have a microphone"
        warning = "tracks may contain parts of other talkers: all are active at nearly the same times"
        return _choice(LIKELY_CLOSE_MICS, analysis, delays, reason, warnings=(warning,), evidence=evidence)
    if agreement is None:
        warning = "tracks may contain the wrong talker: the recording is too short to check that every talker has a microphone"
    else:
        warning = "tracks may contain the wrong talker: the talkers do not seem to have a microphone each"
    method = _room_method(analysis, n_sources, options)
    return _choice(method, analysis, delays, _in_a_room(method, delays), warnings=(warning,), evidence=evidence)


def _in_a_room(method: Method, delays: DelayEvidence) -> str:
    return f"{TITLES.get(method.name, method.name)}, for a room: {delays.sentence}"


def _requested(method: Method, analysis: Analysis, delays: DelayEvidence, underdetermined: bool) -> Choice:
    warnings: tuple[str, ...] = ()
    if method.needs.delay_free and not delays.delay_free:
        verb = "may" if delays.delayed_coherence is None else "will"
        warnings = (f"{method.name} {verb} not separate this recording well: {delays.sentence}; try --method auto",)
    elif not method.needs.delay_free and delays.delay_free and not underdetermined:
        warnings = (f"FastICA would separate this recording better: {delays.sentence}; try --method auto",)
    return _choice(method, analysis, delays, f"{method.name}, as requested", warnings=warnings)


def _choice(
    method: Method,
    analysis: Analysis,
    delays: DelayEvidence,
    reason: str,
    *,
    warnings: tuple[str, ...] = (),
    evidence: dict[str, Any] | None = None,
) -> Choice:
    stft = method.window(analysis.x.shape[1], analysis.rate)
    return Choice(method, stft, reason, delays, warnings, _evidence(delays) if evidence is None else evidence)


def _evidence(delays: DelayEvidence, agreement: float | None = None) -> dict[str, Any]:
    """The measurements behind a choice, as a dict for result.json."""
    return {**delays.to_dict(), "own_mics_agreement": agreement and round(agreement, 3)}

"""`bss score`: the quality of a separation, where the true sources are known, and what shows of it where they are not."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import click

from bss.errors import QualityError, UsageError

from .support.common import Output, command

if TYPE_CHECKING:
    from bss.pipeline.scoring.files import ScoredFiles


@command("score")
@click.argument("paths", nargs=-1, metavar="REFERENCES ESTIMATES")
@click.option("--mixture", default=None, help="The recording before separation, to compute improvements: file, folder or glob.")
@click.option("--reference-mic", type=click.IntRange(1), default=1, show_default=True,
              help="Microphone to compare at: the channel of multichannel references and mixtures.")  # fmt: skip
@click.option("--no-permute", is_flag=True, help="Compare estimate k with reference k, in the order of their names.")
@click.option("--perceptual", is_flag=True,
              help="Also STOI and PESQ; with --no-reference, DNSMOS. Extras: `metrics`, and `pesq` for PESQ.")  # fmt: skip
@click.option("--frames", type=float, default=None, metavar="SECONDS",
              help="Also the SI-SDR of every frame of this length: its quantiles, and in --json each.")  # fmt: skip
@click.option("--no-reference", is_flag=True,
              help="The true sources are not known: what the tracks have in common, and what bss predicted.")  # fmt: skip
@click.option("--fail-under", type=float, default=None, metavar="DB",
              help="Exit with code 5 if the mean SI-SDR (not its improvement) is lower, or a talker has none.")  # fmt: skip
def score(out: Output, paths: tuple[str, ...], **options: Any) -> None:
    """Score separated tracks against the true sources: SI-SDR, and SDR, SIR and SAR of BSS-eval v3 with 512 taps.

    REFERENCES and ESTIMATES are a folder, a file or a quoted glob each. A reference file is one talker; if it has several
    channels, as in the truth/ folder of bss mix, each is a microphone. Every channel of the estimates is an estimate,
    except for residual.wav. Each reference is compared with the estimate that matches it best (greatest mean SIR).

    With --no-reference there are ESTIMATES alone.

    \b
    Examples:
      bss score scene/truth sources/ --mixture scene/mics
      bss score "truth/*.wav" "sources/source*.wav" --fail-under 8
      bss score scene/truth sources/ --perceptual --frames 1 --json > scores.json
      bss score --no-reference sources/ --mixture mics/ --perceptual
    """
    if options["no_reference"]:
        _blind(out, paths, options)
        return
    from bss.pipeline.scoring.files import score_files

    from .support import score_tables

    references, estimates = _two(paths, options["mixture"])
    threshold: float | None = options["fail_under"]
    if threshold is not None and not math.isfinite(threshold):
        raise UsageError(f"--fail-under {threshold} is not a level", "it must be a finite number", "a level in dB, such as 10")
    scored = score_files(
        references, estimates, mixture=options["mixture"], reference_mic=options["reference_mic"] - 1,
        permute=not options["no_permute"], perceptual=options["perceptual"], frame_seconds=options["frames"],
    )  # fmt: skip
    _speak(out, scored.notes, scored.warnings)
    if not out.as_json:
        score_tables.show(out, scored)
    gate = _gate(scored, threshold)
    out.emit({**scored.to_dict(), "gate": gate})
    _enforce(gate)


def _blind(out: Output, paths: tuple[str, ...], options: dict[str, Any]) -> None:
    """`--no-reference`."""
    from bss.pipeline.scoring.blind import score_blind_files

    from .support import score_tables

    senseless = {"--fail-under": "fail_under", "--frames": "frames", "--no-permute": "no_permute"}
    for option, name in senseless.items():
        if options[name]:
            raise UsageError(f"{option} is of scores against the truth", "with --no-reference there is none", "one of the two")
    if len(paths) != 1:
        raise UsageError(
            f"expected one argument, ESTIMATES, but there are {len(paths)}", "with --no-reference nothing is compared",
            "a folder, or a glob in quotes: bss score --no-reference sources/",
        )  # fmt: skip
    scored = score_blind_files(
        paths[0], mixture=options["mixture"], reference_mic=options["reference_mic"] - 1, perceptual=options["perceptual"]
    )
    _speak(out, scored.notes, scored.warnings)
    if not out.as_json:
        score_tables.show_blind(out, scored)
    out.emit(scored.to_dict())


def _speak(out: Output, notes: tuple[str, ...], warnings: tuple[str, ...]) -> None:
    for note in notes:
        out.say(note)
    for warning in warnings:
        out.warn(warning)


def _two(paths: tuple[str, ...], mixture: str | None) -> tuple[str, str]:
    if len(paths) != 2:
        why = "the shell may have expanded a glob" if len(paths) > 2 else "expected the true and the separated tracks"
        hint = 'folders, or globs in quotes: bss score "truth/*.wav" "sources/*.wav"; or --no-reference'
        raise UsageError(f"expected two arguments, REFERENCES and ESTIMATES, but there are {len(paths)}", why, hint)
    if [*paths, mixture].count("-") > 1:
        raise UsageError("- is used twice", "stdin can be read only once", "files for the others")
    return paths[0], paths[1]


def _gate(scored: ScoredFiles, threshold: float | None) -> dict[str, Any] | None:
    """Whether the mean SI-SDR reaches the threshold; a talker without a score fails it, and is not ignored."""
    if threshold is None:
        return None
    missing, mean = scored.without_score, scored.scores.mean["si_sdr"]
    return {
        "measure": "si_sdr",
        "fail_under": threshold,
        "mean": None if math.isnan(mean) else mean,
        "without_score": missing,
        "passed": not missing and mean >= threshold,
    }


def _enforce(gate: dict[str, Any] | None) -> None:
    if gate is None or gate["passed"]:
        return
    if gate["without_score"]:
        raise QualityError(f"no score for {', '.join(gate['without_score'])}", "--fail-under requires a score for every talker")
    raise QualityError(f"the mean SI-SDR of {gate['mean']:.2f} dB is below --fail-under {gate['fail_under']:g}")

"""The tables of `bss score`."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

from rich.table import Table
from rich.text import Text

from bss.metrics.frames import QUANTILES
from bss.metrics.scores import IMPROVEMENTS, MEASURES

if TYPE_CHECKING:
    from bss.pipeline.scoring.blind import BlindFiles
    from bss.pipeline.scoring.files import ScoredFiles

    from .common import Output


def show(out: Output, scored: ScoredFiles) -> None:
    """The scores of each talker, and their means; perceptual ones and those of frames in tables of their own."""
    scores, mean = scored.scores, scored.scores.mean
    for names in ([*MEASURES, *IMPROVEMENTS], list(scores.perceptual)):
        columns = {name: scores.columns[name] for name in names if name in scores.columns}
        if not columns:
            continue
        table = _table(("reference", "estimate"), map(_title, columns))
        for j, (name, estimate) in enumerate(zip(scored.references, scored.matched, strict=True)):
            _row(table, (name, estimate or "-"), (column[j] for column in columns.values()))
        _row(table, ("mean", ""), (mean[name] for name in columns), style="bold")
        out.console().print(table)
        improved = any(name.endswith("_improvement") for name in columns)
        perceptual = {"pesq_wb": "PESQ as MOS-LQO, 1 to 4.6", "stoi": "STOI up to 1"}
        unit = "; ".join(words for name, words in perceptual.items() if name in columns) or "in dB"
        out.data(unit + ("; i: improvement over the mixture" if improved else ""))
    if scores.frames is not None:
        table = _table(("reference",), (f"{100 * q:g} %" for q in QUANTILES))
        for name, values in zip(scored.references, scores.frames.quantiles(), strict=True):
            _row(table, (name,), values)
        out.console().print(table)
        out.data(f"SI-SDR in dB below which so many of the frames of {scores.frames.seconds:g} s are, where the talker speaks")


def show_blind(out: Output, scored: BlindFiles) -> None:
    """What each track has in common with others, and how good a network finds it."""
    scores = scored.scores
    table = _table(("track",), ("in common", *map(_title, scores.dnsmos)))
    for k, name in enumerate(scored.names):
        _row(table, (name,), (scores.excess_db[k], *(column[k] for column in scores.dnsmos.values())))
    if scored.before is not None and scores.dnsmos:
        _row(table, ("the mixture",), (math.nan, *(column[0] for column in scored.before.dnsmos.values())))
    out.console().print(table)
    out.data("in common: what another track predicts of this one, in dB beyond chance; 0 is independent")
    if scores.dnsmos:
        out.data("DNSMOS: a network's guess at listeners' opinions from 1 to 5: overall, speech, background (P.835), and P.808")
    if scored.predicted_gain_db is not None:
        out.data(f"bss predicted an improvement of the SI-SDR by {scored.predicted_gain_db:.1f} dB when it made the tracks")


def _table(words: Sequence[str], numbers: Iterable[str]) -> Table:
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0))
    for title in words:
        table.add_column(title, overflow="fold")
    for title in numbers:
        table.add_column(title, justify="right", no_wrap=True)
    return table


def _row(table: Table, words: Sequence[str], numbers: Iterable[float], style: str | None = None) -> None:
    # as Text, so that brackets in a name are not markup
    table.add_row(*map(Text, words), *("-" if math.isnan(x) else f"{x:.2f}" for x in numbers), style=style)


def _title(measure: str) -> str:
    plain = measure.removesuffix("_improvement")
    return plain.replace("_", "-").upper() + ("i" if plain != measure else "")

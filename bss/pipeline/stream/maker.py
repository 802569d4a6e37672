"""Tracks of one block after the other, by filters that go on learning."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from bss.errors import SolverError
from bss.networks.source_model import apply
from bss.pipeline.filters.models import Demixing
from bss.pipeline.methods.moving_talkers.local_demixing import LocalDemixing, local_window
from bss.pipeline.stream import enhancing, turns
from bss.pipeline.stream.fitting.learning import Learned
from bss.pipeline.stream.fitting.refining import linear
from bss.pipeline.stream.gaps import FADE_SECONDS, Gap
from bss.pipeline.stream.made import Made
from bss.pipeline.stream.spectra import Span, span_of
from bss.signals.files.blocks import Blocks

FORGETTING_SECONDS = 300.0  # in which half of the statistics are forgotten
RELEARN_SECONDS = 120.0  # from one demixing to the next


class Maker:
    """Makes the tracks of blocks.

    Parameters
    ----------
    learned : Learned
        The filters that it begins with; the attribute of that name has the present ones.
    step : float
        Seconds from one block to the next.
    count : int
        Blocks that were made before.
    gaps : sequence of Gap
        Where microphones have nothing.
    """

    def __init__(self, learned: Learned, step: float, count: int = 0, gaps: Sequence[Gap] = ()) -> None:
        self.learned, self.count, self.gaps = learned, count, tuple(gaps)
        self.keep, self.relearn = 0.5 ** (step / FORGETTING_SECONDS), max(1, round(RELEARN_SECONDS / step))
        self.model = apply.load(learned.filters.weights) if learned.turns is not None else None

    def block(self, blocks: Blocks, start: int, stop: int) -> Made:
        """The tracks of samples [start, stop) of a recording of the used channels.

        Raises
        ------
        SolverError
            They are not finite.
        """
        filters, rate = self.learned.filters, blocks.rate
        gaps = [gap for gap in self.gaps if gap.start < stop and start < gap.stop]
        if filters.stft is None:
            x = blocks.read(start, stop)
            y = np.asarray(filters.model.images(x, np.array(filters.mics)), np.float32)
            return self._made(x, y, rate, self._silence(gaps, start, stop))
        span = span_of(blocks, filters.stft, start, stop)
        y = linear(filters, span)
        lost = []
        for gap in gaps:
            model = self._model_without(gap)
            if model is None:
                lost.append(gap)
            else:
                y += gap.share(start, stop, self._fade) * (linear(replace(filters, model=model), span) - y)
        if self.learned.following and not gaps:
            y = self._followed(span.x, y, rate)
        made = self._made(span.x, y, rate, self._silence(lost, start, stop))
        self.count += 1
        if not gaps:
            self._learn(span, made)
        return made

    @property
    def _fade(self) -> int:
        return round(FADE_SECONDS * self.learned.filters.rate)

    def _silence(self, gaps: Sequence[Gap], start: int, stop: int) -> np.ndarray:
        """(stop - start,) 0 in gaps in which nothing can be separated, 1 elsewhere."""
        share = np.ones(stop - start, np.float32)
        for gap in gaps:
            share *= 1 - gap.share(start, stop, self._fade)
        return share

    def _model_without(self, gap: Gap) -> Demixing | None:
        """The filters of the microphones that are left in a gap; None if these are too few."""
        total = self.learned.statistics
        return None if total is None or self.learned.reference in gap.missing else total.without(gap.missing)

    def _followed(self, x: np.ndarray, y: np.ndarray, rate: int) -> np.ndarray:
        """(K, n) tracks by filters of every moment, whose variances the source model finds in tracks y (K, n)."""
        estimates = np.concatenate((self._enhanced(y, rate), y[self.learned.n_talkers :]))
        local = LocalDemixing(x, estimates, rate, local_window(rate))
        return local.tracks(np.array(self.learned.filters.mics))

    def _made(self, x: np.ndarray, y: np.ndarray, rate: int, share: np.ndarray) -> Made:
        """The tracks of samples x (M, n), from linear ones y (K, n), with their `share` (n,) of the recording."""
        learned = self.learned
        N = learned.n_talkers
        talkers = (y[:N] if self.model is None else self._enhanced(y, rate)) * share
        y = y * share
        residual = x[:0]
        if learned.residual:
            at_reference = np.array(learned.filters.mics) == learned.reference
            residual = (x[learned.reference] - np.concatenate((talkers, y[N:]))[at_reference].sum(0))[None]
        made = Made(talkers, y[:N], y[N:], residual)
        if not made.finite():
            raise SolverError("the separation produced NaN or infinite samples", "", "`bss check` on the recording")
        return made

    def _enhanced(self, y: np.ndarray, rate: int) -> np.ndarray:
        assert self.model is not None  # as a block is enhanced
        assert self.learned.turns is not None
        active = self.learned.turns.active(turns.band_powers(y, rate), rate)
        return enhancing.enhanced(self.model, y, rate, enhancing.shares(active, self.learned.n_talkers, rate))

    def _learn(self, span: Span, made: Made) -> None:
        """Add a block to what the filters follow from, and make new ones now and then."""
        learned = self.learned
        if learned.statistics is None:
            return
        total = learned.statistics.add(span, np.concatenate((made.talkers, made.others)), self.keep)
        filters = learned.filters
        if self.count % self.relearn == 0:
            filters = replace(filters, model=total.demixing(), span=(filters.span[0], span.stop / filters.rate))
        self.learned = replace(learned, statistics=total, filters=filters)

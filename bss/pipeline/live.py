"""A recording that is going on: tracks come out as it comes in, a stated time later, while the filters are learned beside."""

from __future__ import annotations

from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import replace

import numpy as np

from bss.checks import check_level, check_rate, check_recording, plain
from bss.errors import BssError, InputError, UsageError, check_flag, check_int
from bss.pipeline.filters.models import Demixing
from bss.pipeline.planning.options import UnmixOptions
from bss.pipeline.record import RunRecord
from bss.pipeline.stitch import match
from bss.pipeline.stream.fitting import learning, statistics
from bss.pipeline.stream.fitting.learning import Learned
from bss.pipeline.stream.fitting.refining import linear
from bss.pipeline.stream.made import Made
from bss.pipeline.stream.maker import Maker
from bss.pipeline.stream.recent import RecentBlocks
from bss.pipeline.stream.spectra import span_of
from bss.signals.files.blocks import ArrayBlocks, ChosenBlocks

WINDOW_SECONDS = 1.0  # of the filters: two seconds would separate better by 2 dB, and come a second and a half later
STEP_SECONDS, OVERLAP_SECONDS = 1.0, 0.25  # of blocks, which are cross-faded
PAST_SECONDS = 1.5  # before a block, which the source model sees
KEPT_SECONDS = 60  # of the recording, to learn from
# When filters are learned anew: soon, and better when there is more to learn from; then to see whether somebody has joined. What
# is known of the talkers is updated all the time.
FIRST_SECONDS, AGAIN_SECONDS, LATER_SECONDS = 10.0, (30.0, 60.0), 120.0


class Live:
    """Separates a recording while it is being made.

    Tracks come out `latency` samples after the sound at the latest, as many samples as go in. They are silent until the filters
    are first known, after about ten seconds of sound; talkers keep their places. Memory does not grow.

    Parameters
    ----------
    n_mics : int
        M, the microphones, of one recorder.
    rate : int
        Hz.
    n_sources : int, optional
        N, the tracks; as many as microphones by default. Tracks for which there is no talker are silent.
    effort : {"fast", "normal", "best"}
        As of `unmix`.
    reference_mic : int
        Index of the microphone whose images of the talkers come out.
    rng : int
        Random seed.
    beside : bool
        Whether to learn in another thread while tracks go on coming out; otherwise `push` waits, and gives the same tracks every
        time.

    Raises
    ------
    UsageError
        An option is invalid.

    Examples
    --------
    >>> import numpy as np, bss
    >>> s = np.random.default_rng(0).laplace(0, 0.05, size=(2, 15 * 16_000)).astype(np.float32)
    >>> x = np.array([[1.0, 0.6], [0.5, 1.0]], np.float32) @ s
    >>> live = bss.Live(2, 16_000, n_sources=2, beside=False)
    >>> y = np.concatenate([live.push(x[:, k : k + 320]) for k in range(0, x.shape[1], 320)] + [live.flush()], axis=1)
    >>> y.shape, live.latency_seconds
    ((2, 240000), 2.018)
    """

    def __init__(
        self,
        n_mics: int,
        rate: int,
        *,
        n_sources: int | None = None,
        effort: str = "normal",
        reference_mic: int = 0,
        rng: int = 0,
        beside: bool = True,
    ) -> None:
        check_flag("beside", beside)
        self.n_mics, self.rate = check_int("n_mics", n_mics, 2), check_rate(rate)
        self.options = UnmixOptions(n_sources, effort=effort, reference_mic=reference_mic, rng=rng, sync="off")
        self.options.check_channels(n_mics)
        self.options.check_talkers(n_mics, more_talkers=False)
        self.n_tracks = self.options.n_sources or self.n_mics  # as checked: a bool among them is a number
        self.problem: str | None = None
        self.beside = beside
        self._recent = RecentBlocks(n_mics, rate, KEPT_SECONDS * rate)
        self._maker: Maker | None = None
        self._tail: Made | None = None
        self._out = 0  # samples that came out
        self._times = [FIRST_SECONDS, *AGAIN_SECONDS]
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="bss-live")
        self._learning: Future[Learned] | None = None

    @property
    def latency(self) -> int:
        """Samples between sound and tracks, at most."""
        return statistics.window(self.rate, WINDOW_SECONDS).lead + self._samples(OVERLAP_SECONDS) + self._step

    @property
    def latency_seconds(self) -> float:
        """The same in seconds."""
        return self.latency / self.rate

    @property
    def ready(self) -> bool:
        """Whether filters are known: before, tracks are silent; `problem` says why if learning has failed."""
        return self._maker is not None

    @property
    def record(self) -> RunRecord | None:
        """What was found when the filters were learned last; None before."""
        return None if self._maker is None else self._maker.learned.record

    def push(self, x: np.ndarray) -> np.ndarray:
        """Take the next samples (M, k), float; returns those of the tracks (N, j) that are ready, float32; j may be 0.

        Raises
        ------
        InputError
            x is not (M, k), or not finite.
        """
        x = plain(x, name="x")
        if x.ndim != 2 or len(x) != self.n_mics:
            raise InputError(f"x has shape {x.shape}", f"expected ({self.n_mics}, k): microphones first, samples second")
        if not x.shape[1]:
            return np.zeros((self.n_tracks, 0), np.float32)
        return self._pushed(check_recording(x) if x.shape[1] >= self.n_mics else x)

    def _pushed(self, x: np.ndarray) -> np.ndarray:
        if not np.isfinite(x).all():
            raise InputError("x contains NaN or infinite samples", "", "zeros in their place")
        check_level(x, name="x")
        ready, start = [], 0
        while start < x.shape[1]:  # in parts that end at whole steps: what is learned does not depend on how the samples come
            stop = start + min(self._step - self._recent.n % self._step, x.shape[1] - start)
            self._recent.add(np.asarray(x[:, start:stop], np.float32))
            start = stop
            while self._recent.n - self.latency >= self._out:
                ready.append(self._block(self._out + self._step + self._samples(OVERLAP_SECONDS)))
            if self._recent.n % self._step == 0:
                self._learn()
        return np.concatenate([np.zeros((self.n_tracks, 0), np.float32), *ready], axis=1)

    def flush(self) -> np.ndarray:
        """The rest of the tracks (N, j): in all, as many samples come out as went in. Nothing can be pushed afterwards."""
        rest = [np.zeros((self.n_tracks, 0), np.float32)]
        overlap = self._samples(OVERLAP_SECONDS)
        while self._out < self._recent.n:
            stop = min(self._out + self._step + overlap, self._recent.n)
            rest.append(self._block(stop, last=stop == self._recent.n))
        self._thread.shutdown(cancel_futures=True)
        return np.concatenate(rest, axis=1)

    @property
    def _step(self) -> int:
        return self._samples(STEP_SECONDS)

    def _samples(self, seconds: float) -> int:
        return round(seconds * self.rate)

    def _block(self, stop: int, *, last: bool = False) -> np.ndarray:
        """(N, j) tracks of the next block, of samples up to `stop`; the last of them wait for the next one, to be faded into."""
        start = self._out
        ready = stop - start if last else self._step
        self._out = start + ready
        if self._maker is None:
            return np.zeros((self.n_tracks, ready), np.float32)
        begin = max(0, start - self._samples(PAST_SECONDS))
        used = ChosenBlocks(self._recent, self._maker.learned.filters.used)
        made = self._maker.block(used, begin, stop).cut(start - begin, stop - begin)
        if self._tail is not None and len(self._tail.talkers) == len(made.talkers) and len(self._tail.others) == len(made.others):
            made = self._tail.into(made)
        self._tail = made.cut(ready, made.n)
        tracks = np.zeros((self.n_tracks, ready), np.float32)
        tracks[: len(made.talkers)] = made.talkers[: self.n_tracks, :ready]
        return tracks

    def _learn(self) -> None:
        """Begin to learn when it is time, and take over what has been learned."""
        if self._learning is not None and (self._learning.done() or not self.beside):
            self._take(self._learning)
            self._learning = None
        if self._learning is None and self._recent.n >= self._times[0] * self.rate:
            x = self._recent.all()
            self._learning = self._thread.submit(self._learned, x)
            now = self._times.pop(0)
            if not self._times:
                self._times = [now + LATER_SECONDS]
            if not self.beside:
                self._learn()

    def _learned(self, x: np.ndarray) -> Learned:
        """What x (M, n) tells; with as many talkers as there are tracks, if it seems that there are more."""
        blocks = ArrayBlocks(x, self.rate)
        pieces = [(0, x.shape[1])]
        found = learning.learn(blocks, pieces, self.options, seconds=WINDOW_SECONDS)
        if found.n_talkers > self.n_tracks:
            found = learning.learn(blocks, pieces, replace(self.options, n_sources=self.n_tracks), seconds=WINDOW_SECONDS)
        return found

    def _take(self, learning_done: Future[Learned]) -> None:
        try:
            new = learning_done.result()
        except UsageError:
            raise
        except BssError as error:  # silence, perhaps: it is tried again, and `problem` says so
            self.problem = str(error)
            if self._maker is None:
                self._times.insert(0, self._recent.n / self.rate + FIRST_SECONDS)
            return
        self.problem = None
        old = self._maker.learned if self._maker is not None else None
        if old is not None:
            settled = self._recent.n > (AGAIN_SECONDS[-1] + LATER_SECONDS / 2) * self.rate
            if new.n_talkers < old.n_talkers or (settled and new.n_talkers == old.n_talkers):
                return  # somebody is silent, or nobody has joined: what is known is better
            new = self._in_place(old, new)
        self._maker = Maker(new, STEP_SECONDS)

    def _in_place(self, old: Learned, new: Learned) -> Learned:
        """The new filters with the talkers that were known before in their places, and who has joined behind them."""
        model, stft = new.filters.model, new.filters.stft
        if not isinstance(model, Demixing) or stft is None or old.filters.stft is None:
            return new
        n = min(self._recent.kept, KEPT_SECONDS * self.rate)
        span = self._recent.n - n, self._recent.n
        before, now = (
            linear(one.filters, span_of(ChosenBlocks(self._recent, one.filters.used), one.filters.stft, *span))
            for one in (old, new)
            if one.filters.stft is not None
        )
        known = match(before[: old.n_talkers], now[: new.n_talkers], self.rate)
        joined = [k for k in range(new.n_talkers) if k not in known]
        order = np.array([*known, *joined, *range(new.n_talkers, new.n_sounds)])
        return new.ordered(order)

"""Late echo out of recordings of any length: weighted prediction error (WPE), learned anew for every stretch of some seconds."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import numpy as np

from bss.checks import check_level, check_rate, check_recording, plain
from bss.errors import InputError
from bss.signals.stft import Stft, nearest_size
from bss.solvers.wpe import wpe

WINDOW_SECONDS = 0.032
DELAY = 5  # frames, a quarter of a window each: 40 ms, which leaves early reflections to the talker
ROWS = 40  # delayed frames of all channels that predict one: 320 ms of one channel, 80 ms of four
FEWEST_TAPS = 4
STRETCH_SECONDS = 20.0  # that filters are learned from: a talker who moves is followed in such steps
FADE_SECONDS = 2.0  # over which the filters of one stretch give way to those of the next
SHORTEST_SECONDS = 1.0


def dereverberate(x: np.ndarray, rate: int) -> np.ndarray:
    """Take late echo out of speech, by weighted prediction error (WPE).

    What the frames up to 320 ms before predict of the present one is taken out, but not what is younger than 40 ms: speech stays
    as close as early reflections make it. All channels are used for each of them, so that more microphones take out more. Filters
    are learned from 20 s at a time. Noise stays: `denoise` afterwards.

    Parameters
    ----------
    x : (M, n) or (n,) float
        Microphones of one recording, or tracks of `unmix`; full scale is 1.
    rate : int
        Hz.

    Returns
    -------
    (M, n) or (n,) float
        As long as x, each sample in its place, of the same dtype.

    Raises
    ------
    InputError
        Samples that are not floating point, or not finite; wrong axes; less than a second.
    UsageError
        A rate that is not a whole number of Hz.

    References
    ----------
    T. Nakatani, T. Yoshioka, K. Kinoshita, M. Miyoshi and B.-H. Juang, "Speech dereverberation based on variance-normalized
    delayed linear prediction", IEEE TASLP 18(7), 2010.

    Examples
    --------
    >>> import numpy as np, bss
    >>> rng = np.random.default_rng(0)
    >>> dry = 0.1 * rng.normal(size=32_000) * (np.arange(32_000) % 4000 < 1500)
    >>> echo = rng.normal(size=(2, 4000)) * np.exp(-np.arange(4000) / 800) * (np.arange(4000) > 800)
    >>> x = np.stack([dry + np.convolve(dry, 0.1 * h)[:32_000] for h in echo])
    >>> bool(np.std(bss.dereverberate(x, 16_000) - dry) < 0.3 * np.std(x - dry))
    True
    """
    rate = check_rate(rate)
    mono = np.ndim(x) == 1
    x = check_level(check_recording(plain(x, name="x")[None] if mono else x), name="x")
    y = np.concatenate(list(dereverberated([x], rate)), axis=1)
    return y[0] if mono else y


def dereverberated(blocks: Iterable[np.ndarray], rate: int) -> Iterator[np.ndarray]:
    """`dereverberate` of a recording in blocks (M, k), as blocks (M, j) of as many samples in all, however they are cut.

    The samples must be finite. InputError where all of them last less than a second.
    """
    stretch, fade = round(STRETCH_SECONDS * rate), round(FADE_SECONDS * rate)
    least = round(SHORTEST_SECONDS * rate)
    held: np.ndarray | None = None
    fading: np.ndarray | None = None  # the end of the stretch before, which the present one begins with
    for x in blocks:
        held = x if held is None else np.concatenate((held, x), axis=1)
        while held.shape[1] >= stretch + least:  # the last stretch is never shorter than that and a fade
            dry = _joined(fading, _dry(held[:, :stretch], rate))
            yield dry[:, :-fade]
            fading, held = dry[:, -fade:], held[:, stretch - fade :]
    if held is None:
        return
    if held.shape[1] < least:
        raise InputError(
            f"the recording lasts {held.shape[1] / rate:.2f} s", f"echo is not learned from less than {SHORTEST_SECONDS:g} s",
            "a longer recording, or none of --dereverb",
        )  # fmt: skip
    yield _joined(fading, _dry(held, rate))


def _joined(fading: np.ndarray | None, dry: np.ndarray) -> np.ndarray:
    """dry (M, n), its beginning faded in from the end of the stretch before."""
    if fading is None:
        return dry
    fade = fading.shape[1]
    share = np.asarray((np.arange(fade) + 0.5) / fade, dry.dtype)
    return np.concatenate((fading + share * (dry[:, :fade] - fading), dry[:, fade:]), axis=1)


def _dry(x: np.ndarray, rate: int) -> np.ndarray:
    """One stretch (M, n) without late echo, in its dtype; channels without sound stay as they are."""
    heard = np.flatnonzero(np.abs(x).max(axis=1, initial=0) > 0)
    y = np.array(x)
    if not len(heard):
        return y
    size = nearest_size(WINDOW_SECONDS * rate)
    stft = Stft(size, size // 4)
    found = wpe(stft.forward(np.ascontiguousarray(x[heard])), taps=max(FEWEST_TAPS, ROWS // len(heard)), delay=DELAY)
    y[heard] = stft.inverse(found.spectra, x.shape[1])
    return y

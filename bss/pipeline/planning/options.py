"""The options of a separation with their defaults and checks, in one frozen value."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from bss.errors import UsageError, check_choice, check_flag, check_int
from bss.pipeline.methods.registry import NAMES
from bss.signals.sync.modes import MODES

if TYPE_CHECKING:
    from bss.networks.files import Weights
    from bss.pipeline.methods.shared.base import Method

EFFORTS = ("fast", "normal", "best")


MOST_SOURCES = 1024  # at most so many are asked for at all
MOST_FOR_EACH_MIC = 4  # masks tell some more talkers apart than there are microphones, but not any number


@dataclass(frozen=True)
class UnmixOptions:
    """The options of `bss.unmix`.

    Attributes
    ----------
    n_sources : int or None
        N, the number of talkers; None counts them.
    method : str or Method
        A name of `registry.NAMES`, or a method of your own; "auto" chooses by analysing the recording.
    effort : {"fast", "normal", "best"}
        Computing time spent on recordings in rooms.
    reference_mic : int
        Index of the microphone whose images of the talkers are returned.
    per_mic : bool
        Every talker has a microphone: track k is the talker of microphone k.
    device : {"auto", "cpu", "cuda", "cuda:0", ..., "mps"}
        Where the solvers compute; "auto" takes a GPU that torch calls CUDA if the recording is long enough to pay.
    rng : int
        Random seed.
    weights : path or None
        File of your own source model, instead of the built-in one.
    sync : {"auto", "off", "offset", "drift"}
        What to do about recorders that are not in step, as in `bss.sync`.
    channels : tuple of int or None
        Indices of the channels to use; None for all.

    Raises
    ------
    UsageError
        An option is invalid for any recording; what depends on the recording is checked by `check_channels` and
        `check_talkers`.
    """

    n_sources: int | None = None
    method: str | Method = "auto"
    effort: str = "normal"
    reference_mic: int = 0
    per_mic: bool = False
    device: str = "auto"
    rng: int = 0
    weights: Weights = None
    sync: str = "auto"
    channels: tuple[int, ...] | None = None

    def __post_init__(self) -> None:
        if isinstance(self.method, (str, type)) or not hasattr(self.method, "learn"):
            check_choice("method", self.method, NAMES)  # type: ignore[arg-type]
        check_choice("effort", self.effort, EFFORTS)
        check_flag("per_mic", self.per_mic)
        if not isinstance(self.device, str) or self.device not in ("auto", "cpu"):
            from bss.pipeline.resources import devices  # imported here, as the command line wants the names of options quickly

            devices.check(self.device)
        check_choice("sync", self.sync, MODES)
        object.__setattr__(self, "reference_mic", check_int("reference_mic", self.reference_mic, 0))
        object.__setattr__(self, "rng", check_int("rng", self.rng, 0))
        if self.channels is not None:
            chosen = tuple(sorted({check_int("channels", k, 0) for k in self.channels}))
            if len(chosen) < 2:
                raise UsageError(f"channels {list(self.channels)} are fewer than two", "separation needs two", "two or more")
            object.__setattr__(self, "channels", chosen)
        if self.n_sources is not None:
            object.__setattr__(self, "n_sources", check_int("n_sources", self.n_sources, 1, MOST_SOURCES))

    @property
    def auto(self) -> bool:
        """Whether bss chooses the method."""
        return isinstance(self.method, str) and self.method == "auto"

    @property
    def method_name(self) -> str:
        """The name of the requested method."""
        return self.method if isinstance(self.method, str) else self.method.name

    def check_channels(self, n_channels: int) -> None:
        """Raise UsageError if the reference microphone or a chosen channel is not one of n_channels."""
        check_int("reference_mic", self.reference_mic, 0, max(n_channels - 1, 0))
        for k in self.channels or ():
            check_int("channels", k, 0, max(n_channels - 1, 0))

    def check_talkers(self, n_mics: int, *, more_talkers: bool) -> None:
        """Raise UsageError if n_mics usable microphones cannot separate the requested number of talkers."""
        if self.per_mic and self.n_sources not in (None, n_mics):
            raise UsageError(
                f"{_talkers(self.n_sources)} requested, but one track per microphone makes {n_mics}", "",
                "leave the number of talkers out",
            )  # fmt: skip
        most = MOST_FOR_EACH_MIC * n_mics
        if self.n_sources is not None and self.n_sources > max(most, n_mics):
            raise UsageError(
                f"{_talkers(self.n_sources)} requested, from {n_mics} usable microphones",
                f"more than {MOST_FOR_EACH_MIC} for each microphone cannot be told apart by any method",
                f"at most {most} talkers, or auto, which counts them",
            )  # fmt: skip
        if self.n_sources is not None and self.n_sources > n_mics and not more_talkers:
            raise UsageError(
                f"{_talkers(self.n_sources)} requested, but there are only {n_mics} usable microphones",
                f"{self.method_name} separates at most one talker per microphone",
                f"at most {n_mics} talkers, or the method cacgmm (chosen by auto), which has no such limit",
            )  # fmt: skip


def channel_numbers(text: str, source: str = "--channels") -> tuple[int, ...] | None:
    """Indices, from 0, of the channels in a list such as 1-4,6, which counts from 1; None for "all".

    Examples
    --------
    >>> channel_numbers("1-3,6"), channel_numbers("all")
    ((0, 1, 2, 5), None)
    """
    if text.strip() == "all":
        return None
    chosen: list[int] = []
    for part in text.split(","):
        ends = [end.strip() for end in part.split("-")]
        plain = all(end.isascii() and end.isdecimal() and len(end) < 6 for end in ends)
        if len(ends) > 2 or not plain or not 0 < int(ends[0]) <= int(ends[-1]):
            raise UsageError(f"{source} {text} is not a list of channels", hint=f"{source} 1-4,6, counted from 1, or all")
        chosen += range(int(ends[0]) - 1, int(ends[-1]))
    return tuple(sorted(set(chosen)))


def _talkers(n: int | None) -> str:
    return "1 talker" if n == 1 else f"{n} talkers"

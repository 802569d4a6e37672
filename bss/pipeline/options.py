"""The options of a separation: every one, its default and its check, in one frozen value."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from bss.errors import UsageError, check_choice, check_int
from bss.pipeline.methods.registry import NAMES

if TYPE_CHECKING:
    from bss.networks.files import Weights
    from bss.pipeline.methods.base import Method

EFFORTS = ("fast", "normal", "best")
DEVICES = ("auto", "cpu")


@dataclass(frozen=True)
class UnmixOptions:
    """What `bss.unmix` can be asked for.

    Attributes
    ----------
    n_sources : int or None
        N, the number of talkers; counted where None.
    method : str or Method
        A name of `registry.NAMES`, or a method of one's own; "auto" decides from the recording.
    effort : {"fast", "normal", "best"}
        How much time to spend in a room.
    reference_mic : int
        The microphone, from 0, at whose level and place each talker is given.
    per_mic : bool
        Everyone has a microphone of their own: track k is the talker of microphone k.
    device : {"auto", "cpu"}
        Where to compute.
    rng : int
        Seed of everything random.
    weights : path or None
        Another source model than the one that ships.

    Raises
    ------
    UsageError
        An option that cannot work with any recording; what depends on the recording is checked by `check_channels` and
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

    def __post_init__(self) -> None:
        if isinstance(self.method, str) or not hasattr(self.method, "learn"):
            check_choice("method", self.method, NAMES)  # type: ignore[arg-type]
        check_choice("effort", self.effort, EFFORTS)
        check_choice("device", self.device, DEVICES)
        object.__setattr__(self, "reference_mic", check_int("reference_mic", self.reference_mic, 0))
        object.__setattr__(self, "rng", check_int("rng", self.rng, 0))
        if self.n_sources is not None:
            object.__setattr__(self, "n_sources", check_int("n_sources", self.n_sources, 1))

    @property
    def auto(self) -> bool:
        """Whether bss chooses the method."""
        return isinstance(self.method, str) and self.method == "auto"

    @property
    def method_name(self) -> str:
        """The method that was asked for, by its name."""
        return self.method if isinstance(self.method, str) else self.method.name

    def check_channels(self, n_channels: int) -> None:
        """UsageError where the reference microphone is none of so many channels."""
        check_int("reference_mic", self.reference_mic, 0, max(n_channels - 1, 0))

    def check_talkers(self, n_mics: int, *, more_talkers: bool) -> None:
        """UsageError where so many usable microphones cannot give the number of talkers that was asked for."""
        if self.per_mic and self.n_sources not in (None, n_mics):
            raise UsageError(
                f"{self.n_sources} talkers asked for, and one track for each of {n_mics} microphones",
                "only one of the two is possible", "leave the number of talkers out",
            )  # fmt: skip
        if self.n_sources is not None and self.n_sources > n_mics and not more_talkers:
            raise UsageError(
                f"{self.n_sources} talkers asked for, {n_mics} usable microphones",
                f"{self.method_name} separates at most one talker per microphone",
                f"at most {n_mics} talkers, or --method cacgmm (auto takes it), which separates more of them by masks",
            )  # fmt: skip

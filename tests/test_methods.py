"""Methods as values: the registry, one's own from outside the package, and what a method may give."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest
from recordings import RATE, desk, improvement, room

import bss
from bss.errors import UsageError
from bss.pipeline.methods import registry
from bss.pipeline.methods.shared.base import Needs, Size, Task, signal_bytes, spectra_bytes
from bss.pipeline.planning.options import UnmixOptions
from bss.signals.stft import Stft


@dataclass(frozen=True)
class HeavyTailed:
    """A method from outside the package, as docs/methods.md has it: ILRMA of Student's t with windows of one's own."""

    dof: float = 4.0
    name: str = "heavy-tailed"
    needs: Needs = Needs()

    def window(self, n: int, rate: int) -> Stft:
        return bss.Stft(2048, 512)

    def learn(self, task: Task) -> bss.Separation:
        step = task.iterations(40)
        return bss.ilrma(task.X, n_sources=task.n_sources, dof=self.dof, n_iter=40, tol=0.0, rng=task.rng, callback=step)

    def leaves_residual(self, n_sources: int, n_mics: int) -> bool:
        return n_sources < n_mics

    def memory(self, size: Size) -> int:
        return signal_bytes(size) + spectra_bytes(size)


@pytest.mark.parametrize("m", [2, 3])
def test_a_method_from_outside(m: int) -> None:
    scene = room(2, 6.0, n_mics=m, rt60=0.15, seed=1)
    seen: list[float] = []
    result = bss.unmix(scene.mixture, RATE, n_sources=2, method=HeavyTailed(dof=10.0), progress=seen.append)
    assert (result.method, result.reason) == ("heavy-tailed", "heavy-tailed, as requested")
    assert result.info["n_fft"] == 2048
    assert (result.residual is None) == (m == 2)
    assert result.info["success"] is None, "no estimate was calibrated on it"
    assert seen == sorted(seen)
    assert len(seen) > 10
    assert improvement(scene.images[:, 0], result.sources, scene.mixture[0]).mean() > 3
    np.testing.assert_allclose(result.filters.apply(scene.mixture), result.sources, atol=1e-5)


def test_what_one_s_own_method_gives_is_checked() -> None:
    class Masks(HeavyTailed):
        def learn(self, task: Task) -> bss.Separation:
            return bss.cacgmm(task.X, n_sources=task.n_sources, n_iter=2)

    with pytest.raises(UsageError, match="the method heavy-tailed returned a separation without a demixing matrix"):
        bss.unmix(room(2, 2.0).mixture, RATE, method=Masks())
    with pytest.raises(UsageError, match="3 talkers"):
        bss.unmix(room(2, 2.0).mixture, RATE, n_sources=3, method=HeavyTailed())


@pytest.mark.parametrize("method", [7, None, object(), HeavyTailed])
def test_what_is_no_method(method: Any) -> None:
    with pytest.raises(UsageError, match=r"method=.* is not known"):
        bss.unmix(desk().mixture, RATE, method=method)


@pytest.mark.parametrize("name", registry.NAMES[1:])
def test_every_name_is_a_method(name: str) -> None:
    method = registry.by_name(name)
    assert method.name == name
    assert registry.resolve(name) is registry.resolve(method) is method
    stft = method.window(10 * RATE, RATE)
    assert (stft is None) == method.needs.delay_free
    size = Size(4, 2, 10 * RATE, stft)
    assert method.memory(size) >= signal_bytes(size)
    assert method.memory(Size(4, 2, 20 * RATE, stft)) == pytest.approx(2 * method.memory(size), rel=0.01)
    assert method.leaves_residual(2, 4) or name == "fastmnmf"


@pytest.mark.parametrize("name", registry.NAMES[1:])
def test_every_method_separates(name: str) -> None:
    delay_free = registry.by_name(name).needs.delay_free
    scene = desk(2, 4.0, seed=2) if delay_free else room(2, 6.0, rt60=0.15, seed=1)
    result = bss.unmix(scene.mixture, RATE, n_sources=2, method=name)
    gain = improvement(scene.images[:, 0], result.sources, scene.mixture[0]).mean()
    assert gain > (20 if delay_free else 1), gain
    assert result.filters.apply(scene.mixture).shape == result.sources.shape


@pytest.mark.parametrize("mics", [2, 3])
def test_fastmnmf_separates_more_talkers_than_microphones(mics: int) -> None:
    scene = room(mics + 1, 5.0, n_mics=mics, rt60=0.15, seed=2)
    result = bss.unmix(scene.mixture, RATE, n_sources=mics + 1, method="fastmnmf", reference_mic=1)
    np.testing.assert_allclose(result.sources.sum(0), scene.mixture[1], atol=1e-4)


def test_unknown_names_suggest_the_nearest() -> None:
    with pytest.raises(UsageError, match="did you mean 'picard-o'"):
        registry.by_name("picardo")


# options


def test_options_have_one_set_of_defaults() -> None:
    import inspect

    defaults = UnmixOptions()
    parameters = inspect.signature(bss.unmix).parameters
    for name in UnmixOptions.__dataclass_fields__:
        assert parameters[name].default == getattr(defaults, name), name


OPTIONS: list[tuple[dict[str, Any], str]] = [
    ({"effort": "slow"}, "effort='slow'"),
    ({"device": "abacus"}, "device='abacus'"),
    ({"n_sources": 0}, "n_sources=0"),
    ({"n_sources": 1.5}, "n_sources=1.5"),
    ({"rng": -1}, "rng=-1"),
    ({"reference_mic": -1}, "reference_mic=-1"),
    ({"method": "ilmra"}, "did you mean 'ilrma'"),
]


@pytest.mark.parametrize(("options", "words"), OPTIONS)
def test_options_are_checked_when_they_are_made(options: dict[str, Any], words: str) -> None:
    with pytest.raises(UsageError, match=words):
        UnmixOptions(**options)


def test_options_are_values() -> None:
    assert UnmixOptions(n_sources=np.int64(2)) == UnmixOptions(n_sources=2)
    assert UnmixOptions(method=HeavyTailed()).method_name == "heavy-tailed"
    with pytest.raises(AttributeError):
        UnmixOptions().effort = "fast"  # type: ignore[misc]

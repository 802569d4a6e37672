"""The arithmetic of benchmarks/: what is counted, and how exponents and shares come about. Nothing here is timed."""

from __future__ import annotations

import importlib.util
import itertools
import sys
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest

FOLDER = Path(__file__).resolve().parents[1] / "benchmarks"


def load(name: str) -> ModuleType:
    """A script of benchmarks/ as a module."""
    spec = importlib.util.spec_from_file_location(f"benchmark_{name}", FOLDER / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module  # dataclasses look their module up
    spec.loader.exec_module(module)
    return module


work, growth, cold_start = load("operations"), load("growth"), load("cold_start")


class Counted:
    """A real number that counts what is done with numbers like it, and has no value."""

    done = 0

    def _do(self, other: object = None) -> Counted:
        Counted.done += 1
        return self

    __add__ = __radd__ = __sub__ = __mul__ = __rmul__ = __truediv__ = __rtruediv__ = _do


Complex = tuple[Counted, Counted]
z: Complex = (Counted(), Counted())


def times(a: Complex, b: Complex) -> Complex:
    return a[0] * b[0] - a[1] * b[1], a[0] * b[1] + a[1] * b[0]


def plus(a: Complex, b: Complex) -> Complex:
    return a[0] + b[0], a[1] + b[1]


def covariances(M: int, N: int) -> None:
    for i in range(M):
        products = [z[0] * z[0] + z[1] * z[1]]
        for _ in range(i + 1, M):
            products += [z[0] * z[0] + z[1] * z[1], z[1] * z[0] - z[0] * z[1]]
        for product in products:
            for _ in range(N):
                z[0] + product * z[0]


def product(M: int) -> None:
    for _ in range(M):
        terms = [times(z, z) for _ in range(M)]
        for term in terms[1:]:
            plus(terms[0], term)


def inversion(M: int) -> None:
    for p in range(M):
        z[0] * z[0], 1 / z[0]
        for i in range(M):
            if i != p:
                z[0] * z[0], z[1] * z[0], z[0] * z[0], z[1] * z[0]
                for j in range(M):
                    if j != p:
                        plus(z, times(z, z))


@pytest.mark.parametrize("M", [1, 2, 3, 5])
@pytest.mark.parametrize(
    ("done", "arguments", "counted"),
    [
        (covariances, (1,), work.covariances),
        (covariances, (4,), work.covariances),
        (product, (), work.product),
        (inversion, (), work.inversion),
    ],
)
def test_operations_are_those_of_the_arithmetic_written_out(done, arguments, counted, M):
    Counted.done = 0
    done(M, *arguments)
    assert counted(M, *arguments) == Counted.done


@pytest.mark.parametrize("M", [2, 4, 7])
def test_each_fourth_moment_counts_once(M):
    moments = len(list(itertools.combinations_with_replacement(range(M), 4)))
    rest = M + 2 * M * M + len(list(itertools.combinations_with_replacement(range(M), 2)))
    assert work.fourth(M, 10).operations == 10 * (rest + 2 * moments)


@pytest.mark.parametrize(("F", "M", "T", "K"), [(5, 2, 30, 2), (9, 4, 7, 3)])
def test_bytes_are_those_of_the_arrays(F, M, T, K):
    X, W = np.empty((F, M, T), np.complex64), np.empty((F, M, M), np.complex128)
    frame, B, H = np.empty((M, T), np.float32), np.empty((M, F, K), np.float32), np.empty((M, K, T), np.float32)
    assert work.sweep(F, M, T).moved == 2 * X.nbytes + 2 * frame.nbytes + 2 * W.nbytes
    assert work.binwise(F, M, T).moved == 2 * X.nbytes + 2 * W.nbytes
    assert work.lowrank(F, M, T, K).moved == 2 * X.nbytes + 2 * B.nbytes + 3 * H.nbytes + 2 * W.nbytes
    assert work.moments(M, T).moved == frame.nbytes


@pytest.mark.parametrize("count", ["sweep", "binwise", "lowrank", "diagonal"])
def test_work_in_a_frame_does_not_depend_on_how_many_there_are(count):
    few, more, most = (getattr(work, count)(3, 4, T).operations for T in (10, 20, 30))
    assert most - more == pytest.approx(more - few)
    assert 0 < few < more < 2 * few  # there is also something to do in every bin


def test_a_kernel_at_a_limit_has_all_of_it():
    todo = work.Work(moved=100.0, operations=60.0)
    assert work.shares(todo, 2.0, 50.0, 60.0) == (1.0, 0.5)
    assert work.shares(work.Work(100.0, 60.0, doubles=True), 2.0, 50.0, 60.0) == (1.0, 1.0)


@pytest.mark.parametrize(("still", "each"), [(0.0, 2.0), (5.0, 0.0), (3.0, 0.25)])
def test_what_stands_still_is_the_intercept_of_a_line(still, each):
    whole, part = still + 100 * each, still + 10 * each
    assert work.standing(whole, part, 0.1) == pytest.approx(still / whole)


@pytest.mark.parametrize("power", [0.0, 0.5, 1.0, 2.5])
def test_exponent_of_a_power_is_that_power(power):
    x = (2, 4, 8, 16)
    assert growth.exponent(x, [3e-3 * v**power for v in x]) == pytest.approx(power, abs=1e-9)


def test_talkers_and_rooms_are_what_was_asked_for():
    x = growth.room(3, 1.0)
    assert x.shape == (3, growth.RATE)
    assert x.dtype == np.float32
    assert np.isfinite(x).all()
    assert np.linalg.matrix_rank(x) == 3
    assert np.array_equal(x, growth.room(3, 1.0))


def test_nested_compilation_is_counted_once():
    watch = cold_start.Stopwatch()
    watch.on_start("kernel", "", 0.0)
    watch.on_start(None, "nopython_type_inference", 1.0)
    watch.on_start("inner", "", 2.0)
    watch.on_start(None, "native_lowering", 3.0)
    watch.on_end(7.0)
    watch.on_end(8.0)
    watch.on_end(9.0)
    watch.on_end(10.0)
    assert watch.by(0) == {"kernel": 10.0}
    assert watch.by(1) == {"inner": 6.0, "kernel": 4.0}
    assert watch.by(2) == {"": 4.0, "native_lowering": 4.0, "nopython_type_inference": 2.0}
    assert watch.by(0, 1) == {("kernel", "inner"): 6.0, ("kernel", "kernel"): 4.0}

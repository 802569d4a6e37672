"""Sums of logarithms from exponents and mantissas."""

from __future__ import annotations

import numba
import numpy as np
import pytest

from bss.backends.cpu.arithmetic import logarithm
from bss.backends.cpu.arithmetic.linalg import FAST


@numba.njit(**FAST)
def parts(number):  # type: ignore[no-untyped-def]
    return logarithm.split(number)


@numba.njit(**FAST)
def log_sum(R, frames):  # type: ignore[no-untyped-def]
    return logarithm.log_sum(R, frames)


@numba.njit(**FAST)
def added(rows):  # type: ignore[no-untyped-def]
    total = np.array([0.0, 0.0, 1.0])
    for i in range(rows.shape[0]):
        exponent, mantissa = logarithm.split(rows[i])
        logarithm.add_up(total, 1.0, exponent, mantissa)
    return logarithm.added_up(total), logarithm.added_up(total)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_a_number_is_its_mantissa_times_a_power_of_two(dtype: type) -> None:
    for number in (1.0, 0.5, 2.0, 1.41421, 1.41422, 0.70710, 0.70711, 3e-12, 7e20, 1.2e-38, 3e38):
        exponent, mantissa = parts(dtype(number))
        assert exponent == int(exponent)
        assert 0.7071 <= mantissa <= 1.4143
        assert dtype(mantissa * 2.0**exponent) == dtype(number)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("frames", [1, 7, 165, 512, 2000])
def test_the_sum_of_logarithms(frames: int, dtype: type) -> None:
    rng = np.random.default_rng(frames)
    for R in (10.0 ** rng.uniform(-12, 12, frames + 3), np.full(frames + 3, 1e-12), np.full(frames + 3, 1.414)):
        R = R.astype(dtype)
        want = np.log(R[:frames].astype(np.float64)).sum()
        assert log_sum(R, frames) == pytest.approx(want, rel=1e-12, abs=1e-9)


def test_what_is_added_up_never_overflows_and_starts_anew() -> None:
    rows = np.full(5000, 1e-12)
    first, then = added(rows)
    assert first == pytest.approx(5000 * (1 + np.log(1e-12)), rel=1e-12)
    assert then == 0.0

"""Numbers taken apart into exponent and mantissa: a sum of logarithms is then a sum, a product, and one logarithm."""

from __future__ import annotations

from typing import Any

import numba
import numpy as np
from llvmlite import ir
from numba import extending, types
from numba.core import cgutils

from bss.backends.cpu.arithmetic.linalg import INNER_FAST

LN2 = float(np.log(2.0))
intrinsic: Any = extending.intrinsic  # it calls with less than what it decorates takes, and has no types
# Type of the bits, how many of them are the mantissa's, and the bits of sqrt(1/2), where mantissas begin.
LAYOUT = {
    types.float32: (ir.IntType(32), 23, int(np.float32(np.sqrt(0.5)).view(np.int32))),
    types.float64: (ir.IntType(64), 52, int(np.float64(np.sqrt(0.5)).view(np.int64))),
}


@intrinsic  # type: ignore[untyped-decorator]
def split(typingctx: Any, number: Any) -> Any:
    """(e, m), both of its type, of a positive, normal number m 2^e, m from sqrt(1/2) to sqrt(2): two thousand such m, multiplied
    in double precision, stay finite. It is five instructions, in the widest vectors; a logarithm is a call for every number."""
    if number not in LAYOUT:
        return None

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        whole, digits, lowest = LAYOUT[number]
        shift = ir.Constant(whole, digits)
        bits = builder.bitcast(arguments[0], whole)
        exponent = builder.ashr(builder.sub(bits, ir.Constant(whole, lowest)), shift)
        mantissa = builder.sub(bits, builder.shl(exponent, shift))
        real = context.get_value_type(number)
        pair = (builder.sitofp(exponent, real), builder.bitcast(mantissa, real))
        return cgutils.pack_array(builder, pair)  # type: ignore[no-untyped-call]

    two: Any = types.UniTuple(number, 2)  # type: ignore[no-untyped-call]
    return two(number), generate


@numba.njit(**INNER_FAST)
def log_sum(R, frames):  # type: ignore[no-untyped-def]
    """sum_t log R[t] of positive, normal numbers, at most two thousand of them."""
    exponents, mantissas = R.dtype.type(0), 1.0
    for t in range(frames):
        exponent, mantissa = split(R[t])
        exponents += exponent
        mantissas *= mantissa
    return LN2 * exponents + np.log(mantissas)


@numba.njit(**INNER_FAST)
def add_up(total, plain, exponents, mantissas):  # type: ignore[no-untyped-def]
    """total (3,): a sum, and exponent and mantissa of a product of which the logarithm is to be added in the end."""
    exponent, mantissa = split(total[2] * mantissas)
    total[0] += plain
    total[1] += exponents + exponent
    total[2] = mantissa


@numba.njit(**INNER_FAST)
def added_up(total):  # type: ignore[no-untyped-def]
    """What `add_up` has put together, which starts anew."""
    value = total[0] + LN2 * total[1] + np.log(total[2])
    total[0], total[1], total[2] = 0.0, 0.0, 1.0
    return value

"""What is put where something else is expected: numbers, texts, JSON, arrays of all kinds."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

Rng = np.random.Generator
NUMBERS = [
    "0",
    "-0",
    "1",
    "2",
    "3",
    "-1",
    "0.5",
    "1.5",
    "1e-300",
    "1e308",
    "1e309",
    "inf",
    "-inf",
    "nan",
    "",
    " ",
    "x",
    "1,2",
    "0x10",
    "1_000",
    "99999999999999999999",
    "9" * 5000,
    "1e5",
    "-1e5",
    "٣",
    "¹",
    "1/2",
    "2147483648",
    "4294967296",
    "--",
    "+1",
    "1e",
    ".",
    "true",
]
TEXTS = [
    "",
    "auto",
    "all",
    "-",
    "1-2",
    "2-1",
    "1-99999999999",
    "1,1,1",
    "a\nb",
    "\x1b[31mred",
    "ä" * 300,
    "..",
    "../x",
    "%s",
    "{0}",
    "1:2@3",
    "1:70@5-15",
    "2:0.01@1",
    "1:1e400",
    "0:1",
    "9999:1",
    "5x5x5",
    "infxnanx3",
    "1x1",
    "C:\\x",
]
JSON: list[Any] = [
    None,
    True,
    False,
    0,
    1,
    -1,
    2,
    0.5,
    -0.5,
    1e9,
    10**9,
    10**30,
    1e308,
    math.nan,
    math.inf,
    -math.inf,
    "",
    "x",
    "\0",
    "a/b",
    "../up",
    "..",
    "\x1b[2J",
    "ä" * 300,
    [],
    [1],
    [None],
    [[]],
    {},
    {"a": 1},
    "1",
    "NaN",
    [1e308, 1, 1],
]
ANY: list[Any] = [
    None,
    True,
    -1,
    0,
    1,
    2,
    3,
    0.5,
    2.5,
    1e300,
    math.nan,
    math.inf,
    10**30,
    1 << 31,
    1 << 63,
    "",
    "x",
    "auto",
    b"x",
    [],
    [1, 2],
    (),
    {},
    {"a": 1},
    1j,
    object(),
    print,
    np.float32(2),
    np.int64(2),
    np.array(2),
    np.array([1, 2]),
]
SCALES = [1.0, 1.0, 1.0, 1e-3, 1e3, 1e-15, 1e-20, 1e-30, 1e-40, 1e10, 1e19, 1e20, 1e30]
DOUBLE_SCALES = [1e-200, 1e-100, 1e100, 1e200, 1e300]
LAYOUTS = [
    "plain",
    "plain",
    "sliced",
    "reversed",
    "fortran",
    "read only",
    "unaligned",
    "swapped bytes",
    "masked",
    "a bit masked",
    "list",
]
VALUES = [
    "plain",
    "plain",
    "plain",
    "one nan",
    "one inf",
    "all zero",
    "a silent channel",
    "copies",
    "constant",
    "offset",
    "one sample",
    "alternating",
]
SHAPES = [
    "plain",
    "plain",
    "plain",
    "plain",
    "transposed",
    "flat",
    "one channel",
    "no samples",
    "no channels",
    "one more axis",
    "short",
    "zero axes",
]
DTYPES = ["same", "same", "same", "same", "float16", "int16", "uint8", "bool", "object", "U8", "longdouble"]


def pick(rng: Rng, choices: list[Any]) -> Any:
    """One of the choices, as it is."""
    return choices[int(rng.integers(len(choices)))]


def odd_array(rng: Rng, a: np.ndarray) -> Any:
    """An array like `a`, odd in one or two ways; the last axis is time."""
    with np.errstate(all="ignore"):
        a = _valued(pick(rng, VALUES), a.copy())
        double = a.dtype in (np.float64, np.complex128)
        a = (a * pick(rng, SCALES + (DOUBLE_SCALES if double else []))).astype(a.dtype)
        if rng.random() < 0.3:
            a = _shaped(pick(rng, SHAPES), a)
        if rng.random() < 0.3:
            a = _typed(pick(rng, DTYPES), a)
    return laid_out(pick(rng, LAYOUTS), a)


def _valued(kind: str, a: np.ndarray) -> np.ndarray:
    flat = a.reshape(-1, a.shape[-1]) if a.ndim > 1 else a[None]
    middle = a.shape[-1] // 2
    if kind in ("one nan", "one inf"):
        flat[0, middle] = np.nan if kind == "one nan" else np.inf
    elif kind == "all zero":
        flat[:] = 0
    elif kind == "a silent channel":
        (a[..., 0, :] if a.ndim > 1 else a)[:] = 0
    elif kind == "copies":
        flat[:] = flat[0]
    elif kind == "constant":
        flat[:] = 0.25
    elif kind == "offset":
        flat += 1000
    elif kind == "one sample":
        flat[:] = 0
        flat[:, middle] = 1
    elif kind == "alternating":
        flat[:, ::2], flat[:, 1::2] = 1, -1
    return a


def _shaped(kind: str, a: np.ndarray) -> np.ndarray:
    shapes = {
        "transposed": lambda: np.swapaxes(a, -1, -2) if a.ndim > 1 else a,
        "flat": lambda: a.ravel(),
        "one channel": lambda: a[..., :1, :] if a.ndim > 1 else a,
        "no samples": lambda: a[..., :0],
        "no channels": lambda: a[..., :0, :] if a.ndim > 1 else a[:0],
        "one more axis": lambda: a[None],
        "short": lambda: a[..., :3],
        "zero axes": lambda: np.asarray(a.flat[0]) if a.size else a,
    }
    return np.array(shapes[kind]()) if kind in shapes else a


def _typed(kind: str, a: np.ndarray) -> np.ndarray:
    if kind == "same":
        return a
    if a.dtype.kind == "c":
        return a.astype({"longdouble": "clongdouble", "object": "object"}.get(kind, "complex64"))
    try:
        return a.astype(kind)
    except (ValueError, OverflowError):  # not a number as an integer
        return a


def laid_out(kind: str, a: np.ndarray) -> Any:
    """The same numbers, in memory as `kind` says."""
    if kind == "sliced":
        wide = np.zeros((*a.shape[:-1], 2 * a.shape[-1]) if a.ndim else (), a.dtype)
        if a.ndim:
            wide[..., ::2] = a
            return wide[..., ::2]
    if kind == "reversed" and a.ndim:
        return np.ascontiguousarray(a[..., ::-1])[..., ::-1]
    if kind == "fortran":
        return np.asfortranarray(a)
    if kind == "read only":
        a = a.copy()
        a.flags.writeable = False
    if kind == "unaligned" and a.size and not a.dtype.hasobject:
        room = np.zeros(a.nbytes + 1, np.uint8)
        view = room[1:].view(a.dtype).reshape(a.shape)
        view[...] = a
        return view
    if kind == "swapped bytes" and a.dtype.kind in "fciu":
        return a.astype(a.dtype.newbyteorder("S"))
    if kind == "masked":
        return np.ma.asarray(a)
    if kind == "a bit masked" and a.size:
        mask = np.zeros(a.shape, bool)
        mask.flat[0] = True
        return np.ma.array(a, mask=mask)
    if kind == "list" and a.size < 5000:
        return a.tolist()
    return a


def mutated_json(rng: Rng, document: Any) -> Any:
    """A document in which one to three fields are something else, missing, doubled, or of another name."""
    for _ in range(int(rng.integers(1, 4))):
        document = _mutated(rng, document)
    return document


def _mutated(rng: Rng, value: Any) -> Any:
    if isinstance(value, dict) and value and rng.random() < 0.85:
        key = pick(rng, list(value))
        kind = rng.random()
        if kind < 0.1:
            return {k: v for k, v in value.items() if k != key}
        if kind < 0.15:
            return {**{k: v for k, v in value.items() if k != key}, str(pick(rng, TEXTS)): value[key]}
        return {**value, key: _mutated(rng, value[key])}
    if isinstance(value, list) and value and rng.random() < 0.7:
        k = int(rng.integers(len(value)))
        if rng.random() < 0.2:
            return [*value, *value]
        return [*value[:k], _mutated(rng, value[k]), *value[k + 1 :]]
    return pick(rng, JSON)

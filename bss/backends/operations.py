"""The type of arrays above the backends, and the operations on them that every backend spells alike."""

from __future__ import annotations

from typing import Any, Protocol, TypeAlias

import numpy as np

Array: TypeAlias = np.ndarray  # or a tensor: of the type that the backend is for, whatever tools that check types are told


class Operations(Protocol):
    """What libraries spell differently. All share arithmetic, comparisons, slices, masks, `abs`, `** 0.5`, `@`, and the methods
    `sum`, `mean`, `any`, `max` of all elements, `conj`, `swapaxes` and `real`; nothing else of NumPy's may meet an array whose
    size is that of the data.
    """

    def precision(self, x: Array) -> np.dtype[Any]:
        """NumPy's name for the type of the elements."""

    def array(self, x: object, like: Array) -> Array:
        """Any array, such as a start that the caller gives, as one of this backend where `like` is, in its own precision."""

    def host(self, x: Array) -> np.ndarray:
        """x as NumPy's array."""

    def cast(self, x: Array, like: Array) -> Array:
        """x in the precision of another array."""

    def single(self, x: Array) -> Array:
        """Real x in single precision."""

    def double(self, x: Array) -> Array:
        """x in double precision."""

    def total(self, x: Array) -> float:
        """Sum of all elements in double precision; as `Outputs.log_det`, perhaps a tensor without axes."""

    def is_finite(self, x: Array) -> bool:
        """Whether all elements are."""

    def where(self, condition: Array, a: Array | float, b: Array | float) -> Array:
        """a where the condition holds, else b; numbers take the precision of the other."""

    def maximum(self, a: Array, b: Array) -> Array:
        """The larger of each two."""

    def log(self, x: Array) -> Array:
        """Natural logarithm."""

    def log1p(self, x: Array) -> Array:
        """log(1 + x)."""

    def inner(self, a: Array, b: Array) -> Array:
        """Sum over the last axis of a b, both (F, N, T)."""

    def stack(self, parts: list[Array], axis: int) -> Array:
        """Arrays of one shape along a new axis."""

    def take_along(self, x: Array, index: np.ndarray, axis: int) -> Array:
        """As `numpy.take_along_axis`."""

    def diagonal(self, A: Array) -> Array:
        """Of the last two axes."""

    def identity(self, *shape: int, like: Array) -> Array:
        """Identities in the last two axes of `shape`, in complex double precision, where `like` is."""

    def inverse(self, A: Array) -> Array:
        """Of matrices in the last two axes."""

    def pseudo_inverse(self, A: Array) -> Array:
        """Of matrices in the last two axes."""

    def solve(self, A: Array, B: Array) -> Array:
        """A^-1 B of matrices in the last two axes."""

    def principal(self, C: Array, n: int) -> Array:
        """(F, n, M): the adjoint eigenvectors of Hermitian C with the n largest eigenvalues."""

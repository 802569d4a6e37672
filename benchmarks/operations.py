"""Bytes that have to be moved, and operations that have to be done, by each kernel: what `roofline.py` holds its times against.

By M microphones, N sources, F bins, T frames, K components; one iteration, or one pass over n samples. Bytes are compulsory:
every array is read and written once, in single precision but for what is kept per bin. An addition, multiplication, division,
comparison, root, logarithm or exponential is one operation, a complex multiply-add eight. Counted is what the equations ask
for, and not what the code does: filling up blocks, or doing something twice, shows as a lower rate.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

N_COMPONENTS = 2

# Why kernels are far from both limits: found out by taking the work in question out of a kernel, and timing what was left, on
# one thread of a processor with vectors of 16 floats. To be found out again when a kernel changes.
WHY = {
    "angular_em": "posteriors, three divisions for every class and frame in a dozen short loops, are half of the time of two "
    "microphones and a third of that of four; inverting matrices, complex, in double precision and one at a time, 14 and 19 %",
    "full_rank_em": "a matrix is inverted in every bin and frame, with about as many loads and stores as operations; with its "
    "logarithm that is half of the time of two microphones, and 60 % of that of four",
    "AuxIVA IP: frame_update": "the algebra of a bin, complex, in double precision and one bin at a time, is two thirds "
    "of the time of two microphones, and three quarters of that of four",
    "diagonaliser_update": "some fifty short loops for every bin, each of which takes as long to start, and to add up a vector "
    "at its end, as to run over the frames of ten seconds: more than half of the time of two microphones is there with 16 "
    "frames, too",
    "low_rank_update": "half of the time of two microphones is there with 16 frames, too, most of it for starting short loops; "
    "of four microphones, the algebra of a bin, one at a time, is 20 %",
}


@dataclass(frozen=True)
class Work:
    """What a kernel has to do: bytes read and written, and operations; `doubles` of them in double precision, vectorised."""

    moved: float
    operations: float
    doubles: bool = False


def small_algebra(M: int, N: int, update: str) -> float:
    """Per bin: the sources' rows from their N covariances, then W := A W and log |det A|."""
    steer = M * N * (8 * M**2 + 20 * M)  # V a_k^H, two inner products with it, and a row less v_n times another
    project = N * (8 * M**3 + 8 / 3 * M**3 + 16 * M**2)  # A V_n, solved for one column, whose length is made one
    return (steer if update == "iss" else project) + 8 * M**3 + 8 / 3 * M**3


def covariances(M: int, N: int) -> float:
    """Per bin and frame: M^2 real products of the outputs (3 operations each), and N weighted sums of each."""
    return 3 * M**2 + 2 * M**2 * N


def product(M: int) -> float:
    """Per bin and frame: a complex M x M matrix times a vector."""
    return 8 * M**2 - 2 * M


def spectra(F: int, M: int, T: int) -> float:
    """Bytes of complex64 (F, M, T)."""
    return 8.0 * F * M * T


def sweep(F: int, M: int, T: int, update: str = "iss") -> Work:
    """AuxIVA: covariances, outputs and their power; weights in, powers out, W both."""
    per_frame = covariances(M, M) + product(M) + 4 * M
    return Work(2 * spectra(F, M, T) + 8 * M * T + 32 * F * M**2, F * (T * per_frame + small_algebra(M, M, update)))


def binwise(F: int, M: int, T: int) -> Work:
    """FD-ICA: 9 for a weight 1 / |y| and its loss, instead of the power."""
    per_frame = covariances(M, M) + product(M) + 9 * M
    return Work(2 * spectra(F, M, T) + 32 * F * M**2, F * (T * per_frame + small_algebra(M, M, "iss")))


def lowrank(F: int, M: int, T: int, K: int = N_COMPONENTS) -> Work:
    """ILRMA. A source: variances twice (2 K), 1 / R and |y|^2 / R^2 (6) and their sums with H (4 K); 1 / R again, the fit and a
    logarithm (7); and what a new output says of H (3 + 5 K)."""
    per_frame = M * (13 * K + 16) + covariances(M, M) + product(M)
    moved = 2 * spectra(F, M, T) + 8 * F * M * K + 12 * M * K * T + 32 * F * M**2
    return Work(moved, F * (T * per_frame + small_algebra(M, M, "iss")))


def diagonal(F: int, M: int, T: int, K: int = N_COMPONENTS) -> Work:
    """FastMNMF2 with as many sources: three times the variances of M outputs from M sources and |z|^2 / v^2, then sums of both
    over outputs with B (twice) or with H and g; reads the spectra a second time for g, which needs the new activations."""
    inverse = M * (2 * K - 1) + M * (2 * M + 1) + 5 * M
    spread = M * (4 * M - 2 + 4 * K)
    per_frame = 3 * inverse + 2 * spread + 6 * M + covariances(M, M) + product(M) + 4 * M**2
    moved = 3 * spectra(F, M, T) + 8 * F * M * K + 16 * M * K * T + 32 * F * M**2
    return Work(moved, F * (T * per_frame + small_algebra(M, M, "iss")))


def angular(F: int, M: int, T: int, N: int) -> Work:
    """cACGMM: products of the microphones; a class: x^H A x (2 M^2), (ratio)^M (M), 7 for posteriors, sums with weights (2 M^2);
    two logarithms. Reads the spectra alone."""
    per_frame = 3 * M**2 + 3 * M + 7 + N * (4 * M**2 + M + 7)
    return Work(spectra(F, M, T) + 8 * N * T + 32 * F * N * M**2, F * (T * per_frame + N * 8 * M**3))


def inversion(M: int) -> float:
    """A Hermitian M x M matrix by Gauss-Jordan elimination, with its determinant: at each of M pivots a product and a quotient,
    a row and a column times real numbers, and all else less complex products."""
    return M * (2 + 4 * (M - 1) + 8 * (M - 1) ** 2)


def full_rank(F: int, M: int, T: int, N: int) -> Work:
    """Full-rank model: a covariance matrix in every bin and frame is summed (4 N M^2), inverted and multiplied
    with x; z z^H - S (4 M^2); a talker: c^H R c (2 M^2), 8 for its power, sums with weights (2 M^2)."""
    per_frame = 10 * M + 4 * N * M**2 + inversion(M) + 8 * M**2 + 4 * M**2 + N * (4 * M**2 + 8)
    return Work(spectra(F, M, T) + 8 * F * N * T + 32 * F * N * M**2, F * (T * per_frame + N * 24 * M**3))


def prediction(F: int, M: int, T: int, taps: int) -> Work:
    """WPE, one round: M taps rows of weighted products with themselves (half of them) and with the present frame; then a
    Hermitian system of as many unknowns."""
    Q = M * taps
    per_frame = 8 * (Q * (Q + 1) / 2 + Q * M) + 2 * Q
    per_bin = 8 * (Q**3 / 6 + M * Q**2)
    return Work(spectra(F, M, T) + 16 * F * Q * M, F * (T * per_frame + per_bin), True)


def past(F: int, M: int, T: int, taps: int) -> Work:
    """T-ISS: for each output and each of M taps delayed rows: two weighted inner products (14), and the row times v taken out
    (8). Reads the microphones, too."""
    return Work(3 * spectra(F, M, T) + 16 * F * M**2 * taps, F * T * (22 * M * M * taps + 4 * M))


NONLINEAR = {"logcosh": 30, "exp": 9, "cube": 5}  # operations for g, g' and G of a sample; tanh is a quotient of polynomials


def ica(M: int, n: int, nonlinearity: str) -> Work:
    """Outputs (2 M^2), their nonlinearity and the sums of g(y) x (2 M^2)."""
    return Work(4.0 * M * n, n * (4.0 * M**2 + M * NONLINEAR[nonlinearity]))


def moments(M: int, n: int) -> Work:
    """Mean and covariance, in double precision."""
    return Work(4.0 * M * n, n * (2.0 * M + M * (M + 1)), True)


def fourth(M: int, n: int) -> Work:
    """Whitening (2 M^2), products of pairs, and each moment of i <= j <= k <= l once."""
    return Work(4.0 * M * n, n * (M + 2.0 * M**2 + M * (M + 1) / 2 + 2 * math.comb(M + 3, 4)))


def mix_bands(tracks: int, C: int, T: int, K: int) -> Work:
    """Of C x T x K numbers: scaled, cut off (3), times K x K matrices (2 K), and added to them and to their mean (2)."""
    return Work(8.0 * tracks * C * T * K, tracks * C * T * K * (2.0 * K + 5))


def mix_times(tracks: int, C: int, T: int, K: int) -> Work:
    """Of C x T x K numbers: scaled (2), three taps (6 C), an offset and a cut (2), times a C x C matrix (2 C), and added (2)."""
    return Work(8.0 * tracks * C * T * K, tracks * C * T * K * (8.0 * C + 6))


def shares(todo: Work, seconds: float, bytes_per_second: float, operations_per_second: float) -> tuple[float, float]:
    """Of what the machine could have moved, and of what it could have calculated, in that time: 1 is at the limit."""
    rate = operations_per_second / 2 if todo.doubles else operations_per_second
    return todo.moved / seconds / bytes_per_second, todo.operations / seconds / rate


def standing(all_frames: float, some_frames: float, part: float) -> float:
    """The share of the time that does not grow with the frames, given the times of all of them and of a part, on a line."""
    return max(0.0, some_frames / all_frames - part) / (1 - part)


def known_as(name: str) -> str:
    """What WHY calls a kernel: `kernel`, or `work: kernel` where it depends on the work."""
    return name if name in WHY else name.split(": ")[1]

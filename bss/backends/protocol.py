"""What solvers, the STFT, scaling and permutation ask of a backend: the arithmetic on one type of array.

X (F, M, T) microphones, Y (F, N, T) sources, W (F, N, M) demixing, A (F, M, N) mixing; samples x (M, n). A backend is a module:
`dispatch.of(X)` picks it by the type of the array. Above this floor nobody knows how a backend lays its arrays out.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Protocol

import numpy as np

from bss.backends.operations import Array, Operations


class Outputs(Protocol):
    """The outputs Y = W X of a solve while it runs: N sources, and M - N outputs of background beneath them."""

    @property
    def n_sources(self) -> int:
        """N."""

    @property
    def n_bins(self) -> int:
        """F."""

    @property
    def n_frames(self) -> int:
        """T."""

    @property
    def level(self) -> float:
        """What the recording was divided by."""

    @property
    def log_det(self) -> float:
        """Sum over bins of log |det W|^2, less log det of the background's covariance. It may be a tensor without axes,
        which stays on its device until `float` fetches it, as may the losses of the models."""

    def demixing(self) -> Array:
        """W (F, N, M) in double precision, of the recording as it was given."""

    def bin_power(self) -> np.ndarray:
        """Mean over frames of |y|^2, (N, F), of the first outputs; NumPy's, to draw first values by."""

    def power(self) -> Array:
        """Mean over bins of |y|^2, (N, T)."""

    def update(self, phi: Array, method: str) -> None:
        """One iteration with weights phi (N, T) that all bins share, by the update of that name."""


class SourceModel(Protocol):
    """A model of the sources that is learned in turn with the demixing."""

    def update(self, method: str) -> float:
        """One iteration of the model and of the demixing; the sum over bins of the penalties as it began."""


class JointPrediction(Protocol):
    """Filters that predict late echo from delayed frames, learned in turn with the demixing (T-ISS)."""

    @property
    def filters(self) -> Array:
        """G (F, M taps, M) in double precision."""

    def update(self, phi: Array) -> None:
        """One iteration of the filters with weights phi (N, T) that all bins share."""

    def update_low_rank(self, model: SourceModel) -> None:
        """One iteration with the weights of a low-rank model."""


class FastMnmf(SourceModel, Protocol):
    """Low-rank variances that all outputs share: FastMNMF2."""

    def wiener(self, reference_mic: int) -> Array:
        """(F, N, T) sources at one microphone, which sum to it."""

    def covariances(self) -> Array:
        """(F, N, M, M) spatial covariances of the sources, of trace M."""


class AngularMixture(Protocol):
    """A mixture of complex angular central Gaussians: cACGMM."""

    @property
    def outputs(self) -> Outputs:
        """The spectra that it is of."""

    @property
    def B(self) -> Array:
        """(F, N, M, M) shape matrices."""

    def step(self, weights: Array) -> tuple[float, Array]:
        """One iteration of EM with weights (N, T): the loss as it began, and the posteriors summed over bins, (N, T)."""

    def posteriors(self, weights: Array) -> Array:
        """(F, N, T), zero where nothing is heard."""


class FullRank(Protocol):
    """Powers and full-rank spatial covariances of the sources."""

    @property
    def outputs(self) -> Outputs:
        """The spectra that it is of."""

    def step(self) -> float:
        """One iteration of EM; the loss as it began."""

    def step_powers(self) -> float:
        """One iteration of the powers alone, the spatial covariances being known; the loss as it began."""

    def covariances(self) -> Array:
        """(F, N, M, M) spatial covariances of the sources."""

    def images(self, mic: int) -> tuple[Array, Array]:
        """(F, N, T) sources at one microphone by a Wiener filter, and (N, M) their powers at every microphone."""


class NmfFit(Protocol):
    """An NMF that is fitted to given powers."""

    def step(self, stride: int) -> None:
        """One multiplicative step, from one of every so many groups of bins."""

    def factors(self) -> tuple[Array, Array]:
        """Spectra (N, F, K) and activations (N, K, T)."""


class Solving(Protocol):
    """What is kept while a solver of the convolutive family runs."""

    def outputs(self, X: Array, W: Array, n_sources: int, level: float = 1.0) -> Outputs:
        """Y = W X / level, W (F, M, M)."""

    def low_rank(self, of: Outputs, B: Array, H: Array, dof: float | None = None) -> SourceModel:
        """Variances B H, B (N, F, K), H (N, K, T): ILRMA; Student's t where `dof` is given."""

    def laplace_per_bin(self, of: Outputs) -> SourceModel:
        """Laplace in every bin by itself: FD-ICA."""

    def known_variances(self, of: Outputs, R: Array) -> SourceModel:
        """Gauss with variances R (F, N, T) at the level of the outputs."""

    def joint_prediction(self, of: Outputs, X: Array, taps: int, delay: int) -> JointPrediction:
        """Filters of the delayed frames of X, all zero: T-ISS."""

    def fast_mnmf(self, of: Outputs, B: Array, H: Array, g: Array) -> FastMnmf:
        """Variances B H, spread over the outputs by g (N, M)."""

    def angular_mixture(self, of: Outputs, B: Array, blur: float) -> AngularMixture:
        """A mixture with shape matrices B (F, N, M, M); `blur` is the share of sound from everywhere."""

    def full_rank(self, of: Outputs, v: Array, R: Array, *, noise: float) -> FullRank:
        """Powers v (F, N, T) and spatial covariances R (F, N, M, M)."""

    def nmf(self, Y: Array, n_components: int, rng: np.random.Generator) -> NmfFit:
        """An NMF of |Y|^2, Y (F, N, T), from a random start."""


class SamplePasses(Protocol):
    """Passes over the samples of a recording, whose sums are NumPy's."""

    def moments(self, x: Array) -> tuple[np.ndarray, np.ndarray]:
        """Mean (M,) and covariance (M, M) of x (M, n), NumPy in double precision: the algebra of M channels is for the host."""

    def ica_pass(
        self, x: Array, W: np.ndarray, mean: np.ndarray, nonlinearity: str, *, stride: int = 1, value: bool = True
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """E[g(y) (x - mean)^T], E[g'(y)] and E[G(y)] of y = W (x - mean), for the host."""

    def fourth_moments(self, x: Array, K: np.ndarray, mean: np.ndarray) -> np.ndarray:
        """E[z_i z_j z_k z_l] of z = K (x - mean), for the host."""


class Passes(SamplePasses, Protocol):
    """Passes over a recording."""

    def square_sum(self, X: Array) -> float:
        """Sum of |x|^2 in double precision; not finite where X is not."""

    def demix(self, W: Array, X: Array) -> Array:
        """Y = W X."""

    def covariance(self, X: Array) -> Array:
        """E[x x^H] (F, M, M) in double precision."""

    def pooled_powers(self, X: Array, W: Array, gain: Array | None, pool: int) -> Array:
        """gain (F, N) times |W X|^2, averaged over so many frames at a time: (F, N, ceil(T / pool))."""

    def masked_covariances(self, X: Array, masks: Array) -> tuple[Array, Array]:
        """Sums over frames of masks (F, N, T) times z z^H, z = x / |x|: (F, N, M, M); and |x|^2 (F, T)."""

    def frame_delays(self, X: Array, first: int, upsampling: int, reach: int) -> tuple[np.ndarray, np.ndarray]:
        """(T, M - 1) delays of every frame in samples, by the bins from `first` on, and (T,) how clearly they stand out."""

    def prediction_filters(
        self, X: Array, *, taps: int, delay: int, n_iter: int, context: int, power: Array | None, level: float
    ) -> Array:
        """G (F, M taps, M) of WPE."""

    def without_prediction(self, X: Array, filters: Array, delay: int) -> Array:
        """X less what filters G predict from the frames `delay` ago and before."""


class Ordering(Protocol):
    """The search for one order of the sources in all bins. Orders (F, N) and edges of blocks are integer and small: NumPy's."""

    def pooled(self, activity: Array, pool: int) -> Array:
        """Sums over so many frames at a time."""

    def padded(self, v: Array) -> Array:
        """Features (F, N, T) in single precision, as the passes read them."""

    def phases_by_source(self, phases: Array) -> Array:
        """(F, N, P) -> (N, P, F) in single precision."""

    def grams(self, U: Array) -> Array:
        """U_f U_f^T."""

    def join(self, U: Array, order: np.ndarray) -> None:
        """order (F, N), in place: neighbours joined to groups, level by level."""

    def ordering_pass(
        self, U: Array, G: Array, order: np.ndarray, fits: Array | None, reach: int, whole: float, phase: float
    ) -> int:
        """order in place; how many bins changed."""

    def block_sums(self, U: Array, order: np.ndarray, edges: np.ndarray) -> Array:
        """(blocks, N, T): features in their order, added up over the bins of each block."""

    def coherence(self, U: Array, G: Array, order: np.ndarray, reach: int) -> float:
        """Mean correlation of a bin with those about it."""

    def phase_fits(
        self, phases: Array, loudness: Array | None, order: np.ndarray, edges: np.ndarray, *, n_lags: int, sharpness: float
    ) -> Array:
        """(blocks, N, N): how well the source in each place has the delays of each other place."""

    def grouping_pass(
        self, V: Array, U: Array, first: Array, whole: Array | None, reach: int, first_weight: float, whole_weight: float
    ) -> np.ndarray:
        """(F, M): the talker that each output belongs to."""

    def in_parallel(self, jobs: list[Callable[[], np.ndarray]]) -> list[np.ndarray]:
        """What the jobs return, side by side where the backend can."""


class Backend(Solving, Passes, Ordering, Operations, Protocol):
    """All that solvers, scaling and permutation call."""


class Fourier(Protocol):
    """The STFT's part, which comes without the solvers' kernels, as they take a while to load."""

    def precision(self, x: Array) -> np.dtype[Any]:
        """NumPy's name for the type of the elements."""

    def stft(self, x: Array, window: np.ndarray, hop: int, lead: int, n_frames: int) -> Array:
        """(F, M, T) spectra of windowed frames of x (M, n), the first of which begins `lead` zeros before sample 0."""

    def istft(self, Y: Array, window: np.ndarray, hop: int) -> Array:
        """(N, n_fft + (T - 1) hop): frames of Y (F, N, T) times the window, overlapped and added."""

"""The estimators keep scikit-learn's rules, and FastICA may be exchanged for scikit-learn's."""

from __future__ import annotations

import pickle
import subprocess
import sys
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import scipy.signal
from sklearn.base import clone
from sklearn.decomposition import PCA, FastICA as ScikitFastICA
from sklearn.exceptions import ConvergenceWarning
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.utils.estimator_checks import check_estimator

import bss
from bss.backends.cpu import compiling
from bss.estimators import FastICA, Infomax, Jade, PicardO

ESTIMATORS = [FastICA, Infomax, PicardO, Jade]
every_estimator = pytest.mark.parametrize("kind", ESTIMATORS, ids=lambda kind: kind.__name__)


def three_signals() -> tuple[np.ndarray, np.ndarray]:
    """Sources (n, 3) and X (n, 3) of the user guide's example of blind source separation."""
    generator = np.random.RandomState(0)
    time = np.linspace(0, 8, 2000)
    S = np.c_[np.sin(2 * time), np.sign(np.sin(3 * time)), scipy.signal.sawtooth(2 * np.pi * time)]
    S += 0.2 * generator.normal(size=S.shape)
    S /= S.std(axis=0)
    return S, S @ np.array([[1, 1, 1], [0.5, 2, 1.0], [1.5, 1.0, 2.0]]).T


def heavy_tails() -> tuple[np.ndarray, np.ndarray]:
    """Four sources at six microphones."""
    rng = np.random.default_rng(1)
    S = rng.laplace(size=(4000, 4))
    return S, S @ rng.normal(size=(4, 6)) + 3.0


def voices() -> tuple[np.ndarray, np.ndarray]:
    """Three talkers, two seconds, mixed without delay."""
    files = sorted((Path(__file__).parents[1] / "fixtures/voices").glob("*.flac"))[:3]
    S = np.stack([bss.read(file)[0][0, 16_000:48_000] for file in files], axis=1).astype(np.float64)
    return S, S @ np.random.default_rng(2).normal(size=(3, 3))


DATA = {"three signals": three_signals, "heavy tails": heavy_tails, "voices": voices}


def distance(A: np.ndarray, B: np.ndarray) -> float:
    """The largest difference of rows that are of unit length, in the best order and with the best signs."""
    A, B = (rows / np.linalg.norm(rows, axis=1)[:, None] for rows in (A, B))
    products = A @ B.T
    order = np.abs(products).argmax(1)
    assert sorted(order) == list(range(len(B)))
    signs = np.sign(products[np.arange(len(A)), order])
    return float(np.abs(A - signs[:, None] * B[order]).max())


@every_estimator
def test_keeps_the_rules_of_scikit_learn(kind: Any) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)  # some of its data are Gaussian
        results = check_estimator(kind(), on_skip=None)
    assert len(results) > 40
    assert {r["check_name"] for r in results if r["status"] != "passed"} <= {"check_array_api_input"}  # of SCIPY_ARRAY_API


@pytest.mark.parametrize("name", DATA)
@pytest.mark.parametrize("algorithm", ["parallel", "deflation"])
def test_components_are_those_of_scikit_learn(name: str, algorithm: str) -> None:
    S, X = DATA[name]()
    options: dict[str, Any] = {"n_components": S.shape[1], "algorithm": algorithm, "max_iter": 2000, "random_state": 0}
    ours = FastICA(tol=1e-9, **options).fit(X)
    start = None
    if (
        algorithm == "deflation"
    ):  # one after the other, which comes first depends on the start, and the others are orthogonal to it
        start = ours.components_ @ np.linalg.pinv(ours.whitening_)
        start += 0.1 * np.abs(start).max() * np.random.default_rng(0).normal(size=start.shape)
    theirs = ScikitFastICA(tol=1e-12, w_init=start, **options).fit(X)
    assert distance(ours.components_, theirs.components_) < 1e-3
    np.testing.assert_allclose(ours.whitening_, theirs.whitening_, rtol=1e-6, atol=1e-9)
    np.testing.assert_allclose(ours.mean_, theirs.mean_)
    np.testing.assert_allclose(ours.transform(X).std(axis=0), 1.0)
    np.testing.assert_allclose(ours.mixing_, np.linalg.pinv(ours.components_))


@pytest.mark.parametrize("fun", ["logcosh", "exp", "cube"])
@pytest.mark.parametrize("whiten", ["unit-variance", "arbitrary-variance"])
def test_contrasts_and_scales_are_those_of_scikit_learn(fun: str, whiten: str) -> None:
    _, X = heavy_tails()
    options: dict[str, Any] = {"n_components": 4, "fun": fun, "whiten": whiten, "max_iter": 2000, "random_state": 0}
    ours, theirs = FastICA(tol=1e-9, **options).fit(X), ScikitFastICA(tol=1e-12, **options).fit(X)
    assert distance(ours.components_, theirs.components_) < 1e-3
    sizes = [np.sort(np.linalg.norm(ica.components_, axis=1)) for ica in (ours, theirs)]
    np.testing.assert_allclose(sizes[0], sizes[1], rtol=1e-3)


def cubic(y: np.ndarray, scale: float = 1.0) -> tuple[np.ndarray, np.ndarray]:
    """Scikit-learn's example of a function."""
    return scale * y**3, (3 * scale * y**2).mean(axis=-1)


FUNCTIONS: list[tuple[dict[str, Any], dict[str, Any]]] = [  # what is asked of both, and what it is the same as
    ({"fun": cubic}, {"fun": "cube"}),
    ({"fun": cubic, "fun_args": {"scale": 2.0}}, {"fun": "cube"}),
    ({"fun_args": {"alpha": 1.0}}, {}),
    ({"fun_args": {"alpha": 1.7}}, {}),
]


@pytest.mark.parametrize("algorithm", ["parallel", "deflation"])
@pytest.mark.parametrize(("asked", "same"), FUNCTIONS)
def test_functions_are_taken_as_by_scikit_learn(asked: dict[str, Any], same: dict[str, Any], algorithm: str) -> None:
    _, X = heavy_tails()
    start = np.random.default_rng(3).normal(size=(4, 4))
    options: dict[str, Any] = {"n_components": 4, "algorithm": algorithm, "max_iter": 4000, "w_init": start}
    ours = FastICA(tol=1e-9, **options, **asked).fit(X)
    theirs = ScikitFastICA(tol=1e-13, **options, **asked).fit(X)
    # in deflation later starts are made orthogonal to what was found before, and may lead to the others in another order
    count = 4 if algorithm == "parallel" else 1
    assert distance(ours.components_[:count], theirs.components_[:count]) < 1e-3
    named = FastICA(tol=1e-9, **options, **same).fit(X)
    alike = distance(ours.components_, named.components_)
    assert (alike < 1e-4) == (asked.get("fun_args") != {"alpha": 1.7})


@pytest.mark.parametrize("algorithm", ["parallel", "deflation"])
def test_begins_where_it_is_told(algorithm: str) -> None:
    """In deflation the component that is found first is the one that the start is nearest to, as in scikit-learn."""
    _, X = heavy_tails()
    found = FastICA(4, algorithm=algorithm, tol=1e-9).fit(X)
    rotation = found.components_ @ np.linalg.pinv(found.whitening_)
    order = [2, 0, 3, 1]
    again = FastICA(4, algorithm=algorithm, tol=1e-9, w_init=rotation[order]).fit(X)
    assert again.n_iter_ < found.n_iter_
    np.testing.assert_allclose(np.abs(np.sum(again.components_ * found.components_[order], axis=1)),
                               np.linalg.norm(again.components_, axis=1) * np.linalg.norm(found.components_[order], axis=1),
                               rtol=0.02)  # fmt: skip


def test_the_user_guide_on_three_signals() -> None:
    S, X = three_signals()
    ica = FastICA(n_components=3, whiten="arbitrary-variance")
    S_ = ica.fit_transform(X)
    A_ = ica.mixing_
    assert np.allclose(X, np.dot(S_, A_.T) + ica.mean_)
    found = np.abs(np.corrcoef(S.T, S_.T)[:3, 3:])
    assert found.max(axis=1).min() > 0.97  # PCA, with which the example compares, stays below
    assert np.abs(np.corrcoef(S.T, PCA(n_components=3).fit_transform(X).T)[:3, 3:]).max(axis=1).min() < 0.9


def test_the_user_guide_on_a_cloud_of_points() -> None:
    rng = np.random.RandomState(42)
    S = rng.standard_t(1.5, size=(20000, 2))
    S[:, 0] *= 2.0
    A = np.array([[1, 1], [0, 2]])
    X = np.dot(S, A.T)
    ica = FastICA(random_state=rng, whiten="arbitrary-variance")
    S_ica_ = ica.fit(X).transform(X)
    S_ica_ /= S_ica_.std(axis=0)
    assert distance(ica.mixing_.T, A.T.astype(float)) < 0.02  # the axes of the cloud


@every_estimator
def test_finds_the_sources_and_goes_back(kind: Any) -> None:
    S, X = heavy_tails()
    ica = kind(n_components=4)
    Y = ica.fit_transform(X)
    assert np.abs(np.corrcoef(S.T, Y.T)[:4, 4:]).max(axis=1).min() > 0.99
    np.testing.assert_allclose(ica.inverse_transform(Y), X, atol=1e-8)
    np.testing.assert_array_equal(Y, pickle.loads(pickle.dumps(ica)).transform(X))
    np.testing.assert_array_equal(Y, clone(ica).fit_transform(X))
    assert ica.n_features_in_ == 6
    assert ica.n_iter_ >= 1
    assert ica.components_.shape == (4, 6) == ica.mixing_.T.shape == ica.whitening_.shape


@every_estimator
def test_a_pipeline_names_what_comes_out(kind: Any) -> None:
    _, X = three_signals()
    pipeline = make_pipeline(StandardScaler(), kind(n_components=2)).set_output(transform="default")
    assert pipeline.fit_transform(X).shape == (2000, 2)
    assert pipeline.get_feature_names_out().tolist() == [f"{kind.__name__.lower()}{k}" for k in range(2)]


@every_estimator
def test_more_features_than_samples(kind: Any) -> None:
    rng = np.random.default_rng(0)
    S = rng.laplace(size=(200, 3))
    X = S @ rng.normal(size=(3, 900)) + 1e-3 * rng.normal(size=(200, 900))
    ica = kind(n_components=3).fit(X)
    assert np.abs(np.corrcoef(S.T, ica.transform(X).T)[:3, 3:]).max(axis=1).min() > 0.97
    assert ica.components_.shape == (3, 900)


@pytest.mark.parametrize("solver", ["svd", "eigh"])
def test_a_dependent_feature_is_no_component(solver: str) -> None:
    _, X = three_signals()
    X = np.c_[X, X[:, 0] - X[:, 1]]
    assert FastICA(whiten_solver=solver).fit(X).components_.shape == (3, 4)
    with pytest.warns(UserWarning, match="n_components=4 is too large: X has 3 independent components"):
        FastICA(4, whiten_solver=solver).fit(X)


def test_data_that_are_white_stay_as_they_are() -> None:
    _, X = heavy_tails()
    white = PCA(n_components=4, whiten=True).fit_transform(X)
    ours = FastICA(whiten=False, tol=1e-9).fit(white)
    theirs = ScikitFastICA(whiten=False, tol=1e-12, max_iter=1000, random_state=0).fit(white)
    assert distance(ours.components_, theirs.components_) < 1e-3
    assert not hasattr(ours, "mean_")
    np.testing.assert_allclose(ours.inverse_transform(ours.transform(white)), white)


def test_refinement_leaves_less_of_the_others() -> None:
    S, X = heavy_tails()
    leaks = []
    for refine in (False, True):
        G = np.abs(FastICA(4, refine=refine, tol=1e-7).fit(X).components_ @ np.linalg.lstsq(S, X - X.mean(0), rcond=None)[0].T)
        G /= G.max(axis=1, keepdims=True)
        leaks.append(float((G**2).sum() - 4))
    assert leaks[1] < 0.8 * leaks[0]


def test_without_a_seed_the_global_generator_draws_as_in_scikit_learn() -> None:
    _, X = three_signals()
    np.random.seed(7)  # noqa: NPY002 - what scikit-learn's users do
    first = FastICA(random_state=None).fit(X).components_
    np.random.seed(7)  # noqa: NPY002
    np.testing.assert_array_equal(first, FastICA(random_state=None).fit(X).components_)


WRONG = {
    "fun": ({"fun": "logcos"}, bss.UsageError, "logcosh"),
    "a function of one value": ({"fun": lambda y: (y[:, :5], y.mean(-1))}, bss.UsageError, "the contrast returned arrays"),
    "alpha": ({"fun_args": {"alpha": 3.0}}, bss.UsageError, "from 1 to 2"),
    "another shape": ({"w_init": np.eye(2)}, bss.InputError, "w_init has shape"),
    "singular": ({"w_init": np.ones((3, 3))}, bss.InputError, "start is singular"),
    "algorithm": ({"algorithm": "symmetric"}, bss.UsageError, "parallel"),
    "whiten": ({"whiten": True}, bss.UsageError, "unit-variance"),
    "whitener": ({"whiten_solver": "qr"}, bss.UsageError, "svd"),
    "none": ({"n_components": 0}, bss.UsageError, "n_components=0"),
    "iterations": ({"max_iter": 0}, bss.UsageError, "n_iter=0"),
    "not white": ({"whiten": False}, bss.InputError, "white already"),
}


@pytest.mark.parametrize("name", WRONG)
def test_a_wrong_parameter_is_refused_by_fit(name: str) -> None:
    options, error, text = WRONG[name]
    with pytest.raises(error, match=text):
        FastICA(**options).fit(three_signals()[1])


def test_picard_takes_names_alone() -> None:
    with pytest.raises(bss.UsageError, match="contrasts by name"):
        PicardO(fun=cubic).fit(three_signals()[1])


def test_functions_are_for_numpy_alone() -> None:
    torch = pytest.importorskip("torch", reason="torch is NOT installed")
    with pytest.raises(bss.UsageError, match="X a tensor"):
        bss.fastica(torch.from_numpy(three_signals()[1].T), contrast=cubic)


def test_data_without_any_sources_are_refused() -> None:
    with pytest.raises(bss.InputError, match="constant"):
        FastICA().fit(np.full((100, 2), 7.3))
    with pytest.raises(bss.InputError, match="3 columns"):
        FastICA(2).fit(three_signals()[1]).inverse_transform(np.ones((5, 3)))


def test_no_convergence_is_a_warning_that_says_what_to_try() -> None:
    with pytest.warns(ConvergenceWarning, match="FastICA stopped after .* iterations; try a larger"):
        FastICA(max_iter=1, tol=1e-12).fit(heavy_tails()[1])


@every_estimator
def test_little_data_need_no_compiler(kind: Any) -> None:
    def fail() -> None:
        pytest.fail("a kernel is compiled")

    with compiling.announced(fail):
        kind().fit(three_signals()[1].astype(np.float16 if kind is Jade else np.float32))


def test_without_scikit_learn_the_error_names_the_extra() -> None:
    code = "import sys; sys.modules['sklearn'] = None; import bss; bss.estimators; from bss.estimators import FastICA"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert "pip install 'bss-toolkit[sklearn]'" in done.stderr.splitlines()[-1]

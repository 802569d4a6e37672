"""SI-SDR of tensors: the values of arrays, the gradient of finite differences, nothing fetched from the device."""

from __future__ import annotations

import numpy as np
import pytest

import bss

torch = pytest.importorskip("torch", reason="torch is NOT installed: that si_sdr takes tensors goes UNTESTED")


def batch(dtype: type = np.float64, n: int = 300) -> tuple[np.ndarray, np.ndarray]:
    """Three talkers in four recordings, and estimates in another order, better and worse."""
    rng = np.random.default_rng(0)
    s = rng.standard_normal((4, 3, n)) + 0.3
    orders = [rng.permutation(3) for _ in range(4)]
    y = np.stack([x[order] for x, order in zip(s, orders, strict=True)])
    return s.astype(dtype), (0.3 * (y + rng.uniform(0.01, 1, (4, 3, 1)) * rng.standard_normal(s.shape))).astype(dtype)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("zero_mean", [False, True])
@pytest.mark.parametrize("permute", [False, True])
def test_the_values_are_those_of_arrays(dtype: type, zero_mean: bool, permute: bool) -> None:
    s, y = batch(dtype)
    found = bss.si_sdr(torch.tensor(s), torch.tensor(y), zero_mean=zero_mean, permute=permute)
    assert found.dtype == torch.tensor(s).dtype
    assert found.shape == (4, 3)
    np.testing.assert_allclose(found.numpy(), bss.si_sdr(s, y, zero_mean=zero_mean, permute=permute), rtol=1e-4, atol=1e-4)


def test_arrays_are_permuted_by_the_greatest_mean() -> None:
    s, y = batch()
    found = bss.si_sdr(s, y, permute=True)
    for k in range(4):
        pairs = bss.si_sdr(s[k][:, None], y[k])
        best = max(([0, 1, 2], [0, 2, 1], [1, 0, 2], [1, 2, 0], [2, 0, 1], [2, 1, 0]), key=lambda p: pairs[range(3), p].sum())
        np.testing.assert_array_equal(found[k], pairs[range(3), best])
    assert found.mean() > bss.si_sdr(s, y).mean() + 5


@pytest.mark.parametrize("extra", [1, 2])
def test_more_estimates_than_references(extra: int) -> None:
    s, y = batch()
    y = np.concatenate([np.random.default_rng(1).standard_normal((4, extra, 300)), y], axis=1)
    expected = bss.si_sdr(s, y[:, extra:], permute=True)
    np.testing.assert_allclose(bss.si_sdr(s, y, permute=True), expected)
    np.testing.assert_allclose(bss.si_sdr(torch.tensor(s), torch.tensor(y), permute=True).numpy(), expected)


@pytest.mark.parametrize("zero_mean", [False, True])
@pytest.mark.parametrize("permute", [False, True])
def test_the_gradient_is_that_of_finite_differences(zero_mean: bool, permute: bool) -> None:
    s, y = (torch.tensor(x, requires_grad=True) for x in batch(n=20))
    assert torch.autograd.gradcheck(lambda a, b: bss.si_sdr(a, b, zero_mean=zero_mean, permute=permute), (s, y), atol=1e-5)


def test_broadcasts_as_arrays() -> None:
    s, y = batch()
    pairs = bss.si_sdr(torch.tensor(s)[:, :, None], torch.tensor(y)[:, None])
    np.testing.assert_allclose(pairs.numpy(), bss.si_sdr(s[:, :, None], y[:, None]))
    one = bss.si_sdr(torch.tensor(s[0]), torch.tensor(y), permute=True)  # the same references for all
    np.testing.assert_allclose(one.numpy(), bss.si_sdr(s[0], y, permute=True))


@pytest.mark.parametrize("permute", [False, True])
def test_what_has_no_score_has_no_gradient_and_spoils_none(permute: bool) -> None:
    s, y = batch(np.float32)
    s[0, 1], y[2, 0], y[1] = 0, 0, s[1]  # a silent talker, a silent estimate, exact copies
    tensors = torch.tensor(s), torch.tensor(y, requires_grad=True)
    found = bss.si_sdr(*tensors, permute=permute)
    expected = bss.si_sdr(s, y, permute=permute)
    assert (np.isnan(found.detach().numpy()) == np.isnan(expected)).all()
    assert np.isnan(expected).sum() == 2
    np.testing.assert_allclose(found[1].detach().numpy(), 120, atol=1e-3)
    (-found.nanmean()).backward()
    gradient = tensors[1].grad
    assert gradient is not None
    assert torch.isfinite(gradient).all()
    assert gradient[1].abs().max() == 0
    assert gradient[3].abs().max() > 0


def test_is_a_loss_to_train_with() -> None:
    s, _ = batch(np.float32)
    A = np.array([[0.5, 1, 0.3], [1, 0.4, 0.6], [0.3, 0.5, 1]], np.float32)
    x, truth = torch.tensor(A @ s), torch.tensor(s)
    W = torch.eye(3, requires_grad=True)
    optimiser = torch.optim.Adam([W], lr=0.02)
    losses = []
    for _ in range(150):
        optimiser.zero_grad()
        loss = -bss.si_sdr(truth, W @ x, permute=True).mean()
        loss.backward()
        optimiser.step()
        losses.append(float(loss.detach()))
    assert min(losses) < losses[0] - 15  # near the optimum a step of one length goes to and fro


@pytest.mark.parametrize("dtype", ["float32", "float16", "bfloat16"])
def test_nothing_is_fetched_from_the_device(dtype: str) -> None:
    """Tensors on the device `meta` have no values: whoever asks for one fails."""
    s = torch.empty((2, 3, 500), device="meta", dtype=getattr(torch, dtype))
    found = bss.si_sdr(s, torch.empty_like(s), permute=True, zero_mean=True)
    assert found.device.type == "meta"
    assert found.shape == (2, 3)
    assert found.dtype == torch.float32  # the energies of half precision overflow


WRONG = {
    "an array and a tensor": (lambda s: (s.numpy(), s, {}), bss.InputError, r"torch\.as_tensor\(reference, device='cpu'\)"),
    "whole numbers": (lambda s: (s.int(), s, {}), bss.InputError, "int32 values"),
    "complex numbers": (lambda s: (s, s + 0j, {}), bss.InputError, "complex64 values"),
    "lengths": (lambda s: (s, s[..., :10], {}), bss.InputError, "cut both"),
    "axes": (lambda s: (s, s[:2], {}), bss.InputError, "do not match"),
    "devices": (lambda s: (s, s.to("meta"), {}), bss.InputError, "on cpu and the estimate on meta"),
    "empty": (lambda s: (s[..., :0], s, {}), bss.InputError, "the reference is empty"),
    "fewer estimates": (lambda s: (s, s[:, :2], {"permute": True}), bss.UsageError, "cannot be permuted"),
    "one signal": (lambda s: (s[0, 0], s[0, 0], {"permute": True}), bss.UsageError, "cannot be permuted"),
    "nine talkers": (lambda s: (s[0].repeat(3, 1), s[0].repeat(3, 1), {"permute": True}), bss.UsageError, "362880 assignments"),
}


@pytest.mark.parametrize("name", WRONG)
def test_wrong_tensors_are_refused(name: str) -> None:
    make, error, text = WRONG[name]
    reference, estimate, options = make(torch.tensor(batch(np.float32)[0]))
    with pytest.raises(error, match=text):
        bss.si_sdr(reference, estimate, **options)

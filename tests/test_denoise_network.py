"""The denoiser's network without torch: the gains that torch has, whole or in blocks."""

from __future__ import annotations

import numpy as np
import pytest

from bss.networks.denoiser.inference import DenoiserNetwork
from bss.networks.denoiser.stream import Model, Stream

torch = pytest.importorskip("torch", reason="torch is not installed: nothing to compare with")
from bss.networks.denoiser.model import Denoiser, DenoiserConfig, loss  # noqa: E402

SIZES = [
    DenoiserConfig(n_fft=64, hop=32, hidden=24, layers=2),
    DenoiserConfig(n_fft=64, hop=32, hidden=24, layers=1, ahead=0),
    DenoiserConfig(n_fft=64, hop=16, hidden=16, layers=3, ahead=3, bottleneck=5),
]


def both(config: DenoiserConfig) -> tuple[Denoiser, DenoiserNetwork]:
    torch.manual_seed(0)
    network = Denoiser(config).eval()
    with torch.no_grad():
        for value in network.parameters():
            value.mul_(1.5)
    return network, DenoiserNetwork(vars(config), {name: t.numpy() for name, t in network.state_dict().items()})


@pytest.mark.parametrize("config", SIZES)
@pytest.mark.parametrize("blocks", [[50], [1, 2, 30, 17]])
def test_gains_are_those_of_torch(config: DenoiserConfig, blocks: list[int]) -> None:
    network, numpy = both(config)
    rng = np.random.default_rng(0)
    X = (rng.normal(size=(3, 50, 33)) + 1j * rng.normal(size=(3, 50, 33))).astype(np.complex64)
    with torch.inference_mode():
        wanted, _ = network.gains(torch.from_numpy(X.swapaxes(1, 2).copy()), None)
    state, found, first = numpy.start(3), [], 0
    for count in blocks:
        found.append(numpy.gains(X[:, first : first + count], state))
        first += count
    gains = np.concatenate(found, axis=1)[:, config.ahead :]
    np.testing.assert_allclose(gains.swapaxes(1, 2), wanted.numpy(), atol=1e-4)
    assert np.abs(gains).std() > 1e-3


@pytest.mark.parametrize("config", SIZES[:2])
@pytest.mark.parametrize("pieces", [[4096], [1, 31, 4000, 64], [32] * 128])
def test_samples_are_those_of_torch(config: DenoiserConfig, pieces: list[int]) -> None:
    network, numpy = both(config)
    x = np.random.default_rng(1).normal(size=(2, 4096)).astype(np.float32)
    with torch.inference_mode():
        wanted = network(torch.from_numpy(x)).numpy()
    stream, found, first = Stream(Model(numpy, 16_000), 2, wiener_share=0.0), [], 0
    for count in pieces:
        found.append(stream.push(x[:, first : first + count]))
        first += count
    found.append(stream.end())
    made = np.concatenate(found, axis=1)
    assert made.shape == wanted.shape
    inside = slice(0, -2 * config.n_fft)  # at the end torch has silence ahead, where this has frames that hold the last samples
    np.testing.assert_allclose(made[:, inside], wanted[:, inside], atol=1e-4)


@pytest.mark.parametrize("n", [1, 5, 63, 64, 65, 1000])
def test_as_many_samples_come_out_as_went_in(n: int) -> None:
    _, numpy = both(SIZES[0])
    stream = Stream(Model(numpy, 16_000), 1)
    assert sum(part.shape[1] for part in (stream.push(np.ones((1, n), np.float32)), stream.end())) == n


def test_a_code_that_is_drawn_costs_something_in_training_only() -> None:
    network, _ = both(SIZES[2])
    x = torch.randn(2, 640)
    torch.testing.assert_close(network(x), network(x))
    network.train()
    torch.manual_seed(1)
    one, other = network(x), network(x)
    assert float((one - other).detach().abs().max()) > 1e-4
    assert network.kl is not None
    assert float(network.kl.detach()) > 0
    assert float(loss(one, x, x, network).detach()) > float(loss(x, x, x, network.eval()).detach()) - 1

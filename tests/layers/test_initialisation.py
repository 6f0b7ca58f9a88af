"""Initial weights: their distributions, and that the numbers depend on seed and name alone."""

import re

import numpy as np
import pytest

from chainrule.errors import ConfigError
from chainrule.layers import BatchNorm, Init, Linear, ReLU
from chainrule.layers.initialisation import draw
from chainrule.network import Network
from chainrule.seeds import stream
from gradients import BOTH

N_IN, N_OUT = 300, 200
VARIANCES = {"he": 2 / N_IN, "glorot": 2 / (N_IN + N_OUT), "lecun": 1 / N_IN}


@pytest.mark.parametrize("kind", VARIANCES)
@pytest.mark.parametrize("distribution", ["normal", "uniform"])
def test_variance_scaling_has_the_variance_of_its_paper(kind: str, distribution: str) -> None:
    W = draw(Init(kind, distribution), (N_IN, N_OUT), stream(0, "init"))
    # 60,000 numbers: the variance of a normal sample is known to √(2/60000) = 0.6 %, four deviations are 2.3 %
    assert W.var() == pytest.approx(VARIANCES[kind], rel=0.023)
    assert abs(W.mean()) < 4 * np.sqrt(VARIANCES[kind] / W.size)
    if distribution == "uniform":
        bound = np.sqrt(3 * VARIANCES[kind])
        assert bound * 0.999 < np.abs(W).max() <= bound


def test_normal_has_the_std_it_is_given() -> None:
    W = draw(Init("normal", std=1e-4), (N_IN, N_OUT), stream(0, "init"))
    assert W.std() == pytest.approx(1e-4, rel=0.012)


def test_zeros_are_zeros() -> None:
    assert not draw("zeros", (3, 4), stream(0, "init")).any()


@pytest.mark.parametrize("shape", [(30, 20), (20, 30), (20, 20)], ids=str)
def test_orthogonal_has_orthonormal_rows_or_columns(shape: tuple[int, int]) -> None:
    W = draw("orthogonal", shape, stream(0, "init"))
    product = W.T @ W if shape[0] >= shape[1] else W @ W.T
    np.testing.assert_allclose(product, np.eye(20), atol=1e-14)


def test_orthogonal_matrices_are_uniformly_distributed() -> None:
    """Of Haar measure the trace has mean 0 and variance 1; QR without the signs of R gives a negative mean."""
    rng = stream(0, "init")
    traces = [np.trace(draw("orthogonal", (4, 4), rng)) for _ in range(2000)]
    assert abs(np.mean(traces)) < 4 / np.sqrt(2000)
    assert np.var(traces) == pytest.approx(1, abs=0.15)


def test_the_numbers_are_the_same_on_every_backend() -> None:
    values = Network((Linear(7), BatchNorm(), ReLU(), Linear(3, init="orthogonal")), 5).initial(11)
    on_numpy, on_torch = ({name: on.numpy(a) for name, a in on.parameters(values).items()} for on in BOTH)
    for name, value in values.items():
        assert value.dtype == np.float64
        np.testing.assert_array_equal(on_numpy[name], value)
        np.testing.assert_array_equal(on_torch[name], value)


def test_each_array_has_a_stream_of_its_own_name() -> None:
    short = Network((Linear(7), ReLU(), Linear(7)), 7).initial(1)
    longer = Network((Linear(7), ReLU(), Linear(7), Linear(7)), 7).initial(1)
    np.testing.assert_array_equal(short["2.W"], longer["2.W"])
    assert not np.array_equal(longer["2.W"], longer["3.W"])
    assert not np.array_equal(short["0.W"], Network((Linear(7),), 7).initial(2)["0.W"])
    expected = draw("he", (7, 7), stream(1, "init/2.W"))
    np.testing.assert_array_equal(short["2.W"], expected)


def test_biases_and_norms_start_where_they_change_nothing() -> None:
    values = Network((Linear(2), BatchNorm()), 3).initial(0)
    starts = {"0.b": 0, "1.gamma": 1, "1.beta": 0, "1.running_mean": 0, "1.running_variance": 1}
    for name, start in starts.items():
        np.testing.assert_array_equal(values[name], np.full(2, start))


@pytest.mark.parametrize(("options", "message"), [
    ({"kind": "normal"}, "Init: init kind 'normal' with std None: kind 'normal' needs a std (the report used 1e-4), "
                         "the other kinds find their own"),
    ({"kind": "he", "std": 0.1}, "Init: init kind 'he' with std 0.1: kind 'normal' needs a std (the report used 1e-4), "
                                 "the other kinds find their own"),
    ({"kind": "zeros", "distribution": "uniform"},
     "Init: init kind 'zeros' has no uniform form; he, glorot and lecun have"),
    ({"kind": "normal", "std": 0.0}, "Init: std: should be greater than 0, got 0.0"),
])  # fmt: skip
def test_options_that_would_do_nothing_are_refused(options: dict[str, object], message: str) -> None:
    with pytest.raises(ConfigError, match=f"^{re.escape(message)}$"):
        Init(**options)

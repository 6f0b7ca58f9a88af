"""The embedding: rows of E by code, zeros for what was never seen, one population axis like every layer."""

import numpy as np
import pytest

import chainrule as cr
from chainrule.arrays import scattered
from chainrule.backprop import forward
from gradients import NUMPY

LAYER = cr.Embedding((3, 300), width=2)


def passed(E: np.ndarray, x: np.ndarray) -> tuple[np.ndarray, object]:
    context = NUMPY.context(training=True)._replace(input_gradient=True)
    found = forward([LAYER], {"0.E": E}, x, context)
    return found.y, found.pullback


def test_the_rows_that_the_codes_name() -> None:
    E = np.arange(606.0).reshape(303, 2)
    x = np.array([[0.5, 0, 1, 1, 44], [1.5, 0, 3, 0, 1], [2.5, 0, 0, 1, 45], [3.5, 0, 4, 255, 255]])
    y, pullback = passed(E, x)
    # Code 300 of the second column is its last row, 302; 0, 4 of three and 301 of three hundred are no category.
    assert y.tolist() == [[0.5, 0, 1, 604, 605], [1.5, 4, 5, 6, 7], [2.5, 0, 0, 0, 0], [3.5, 0, 0, 0, 0]]
    dx, gradients = pullback(np.ones((4, 5)))  # type: ignore[operator]
    assert np.flatnonzero(gradients["0.E"].sum(axis=1)).tolist() == [0, 2, 3, 302]
    assert dx.tolist() == [[1, 0, 0, 0, 0]] * 4


def test_rows_named_twice_have_the_sum() -> None:
    x = np.array([[0.0, 1, 0, 2]] * 5)
    _, pullback = passed(np.zeros((303, 2)), x)
    gradient = pullback(np.arange(20.0).reshape(5, 4))[1]["0.E"]  # type: ignore[operator]
    assert gradient[0].tolist() == [40, 45]
    assert gradient[4].tolist() == [50, 55]


@pytest.mark.parametrize("precision", ["float32", "float64"])
def test_stacked_networks_have_the_bits_of_each_alone(precision: str) -> None:
    draw = np.random.default_rng(0)
    E = draw.normal(size=(3, 303, 2)).astype(precision)
    x = np.stack([LAYER.example(draw, 40, 7) for _ in range(3)]).astype(precision)
    dy = draw.normal(size=(3, 40, 7)).astype(precision)
    y, pullback = passed(E, x)
    dx, gradients = pullback(dy)  # type: ignore[operator]
    for i in range(3):
        own_y, own_pullback = passed(E[i], x[i])
        own_dx, own_gradients = own_pullback(dy[i])  # type: ignore[operator]
        for whole, own in ((y, own_y), (dx, own_dx), (gradients["0.E"], own_gradients["0.E"])):
            np.testing.assert_array_equal(whole[i], own)


def test_one_batch_for_all_networks() -> None:
    x = LAYER.example(np.random.default_rng(0), 4, 5)
    y, pullback = passed(np.random.default_rng(1).normal(size=(3, 303, 2)), x)
    dx, gradients = pullback(np.ones((3, 4, 5)))  # type: ignore[operator]
    assert (y.shape, dx.shape, gradients["0.E"].shape) == ((3, 4, 5), (4, 5), (3, 303, 2))
    assert dx[:, 0].tolist() == [3] * 4


def test_every_code_survives_bfloat16() -> None:
    torch = pytest.importorskip("torch")
    codes = np.arange(65_535)
    digits = torch.from_numpy(np.stack(np.divmod(codes, 256), axis=1)).to(torch.bfloat16).double().numpy()
    assert (digits @ [256, 1] == codes).all()


def test_scattered_on_torch_is_that_of_numpy() -> None:
    torch = pytest.importorskip("torch")
    import array_api_compat.torch as xp

    draw = np.random.default_rng(0)
    values, rows = draw.normal(size=(50, 3)), draw.integers(0, 7, 50)
    ours = scattered(values, rows, (7, 3), np)
    theirs = scattered(torch.from_numpy(values), torch.from_numpy(rows), (7, 3), xp)
    np.testing.assert_allclose(theirs.numpy(), ours, rtol=1e-14)
    np.testing.assert_allclose(ours, np.eye(7)[rows].T @ values, rtol=1e-13)
    narrow = torch.from_numpy(values).bfloat16()
    assert scattered(narrow, torch.from_numpy(rows), (7, 3), xp).dtype == torch.bfloat16


def test_refused() -> None:
    with pytest.raises(cr.ConfigError, match=r"embedding sizes \(\): expected the number of categories"):
        cr.Embedding(())
    with pytest.raises(cr.ConfigError, match=r"embedding sizes \(65536,\): .* below 65,536"):
        cr.Embedding((65_536,))
    with pytest.raises(cr.ConfigError) as caught:
        cr.Network((cr.Embedding((3, 4)), cr.Linear(1)), n_in=3)
    assert str(caught.value) == (
        "layer 0 (embedding): 2 embedded columns take the last 4 of its inputs, two digits each, but there are 3"
    )


def test_its_weights_are_penalised_and_its_cost_is_small() -> None:
    network = cr.Network((cr.Embedding((3, 300)), cr.Linear(2)), n_in=5)
    assert network.weights == ("0.E", "1.W")
    assert network.parameters["0.E"].shape == (303, 8)
    assert abs(network.initial(0)["0.E"].std() - 8**-0.5) < 0.02
    assert network.widths == (5, 17, 2)

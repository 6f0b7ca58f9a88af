"""The linear layer and the residual block: their equations, and widths that cannot be."""

import re

import numpy as np
import pytest
import torch

from chainrule.errors import ConfigError
from chainrule.layers import LayerNorm, Linear, ReLU, Residual
from gradients import NUMPY, TORCH, apply


def test_linear_is_pytorchs_with_the_weights_transposed() -> None:
    rng = np.random.default_rng(0)
    W, b, x, dy = rng.normal(size=(4, 3)), rng.normal(size=3), rng.normal(size=(5, 4)), rng.normal(size=(5, 3))
    twin = torch.nn.Linear(4, 3, dtype=torch.float64)
    twin.weight.data, twin.bias.data = torch.tensor(W.T.copy()), torch.tensor(b)
    x_theirs = torch.tensor(x, requires_grad=True)
    y_theirs = twin(x_theirs)
    y_theirs.backward(torch.tensor(dy))
    done = apply(Linear(3), x, {"W": W, "b": b}, NUMPY)
    dx, gradients = done.pullback(dy)
    for ours, theirs in ((done.y, y_theirs.detach()), (dx, x_theirs.grad), (gradients["0.W"].T, twin.weight.grad),
                         (gradients["0.b"], twin.bias.grad)):  # fmt: skip
        np.testing.assert_allclose(ours, theirs, rtol=1e-13, atol=1e-14)


def test_the_bias_gradient_of_a_long_bfloat16_batch_is_summed_wide() -> None:
    """1024 ones and 1024 times 2⁻⁹: summed one by one in bfloat16, ones would stop at 256."""
    dy = torch.cat([torch.ones(1024, 1), torch.full((1024, 1), 2.0**-9)]).to(torch.bfloat16)
    zero = torch.zeros(1, 1, dtype=torch.bfloat16)
    done = apply(Linear(1), torch.zeros(2048, 1, dtype=torch.bfloat16), {"W": zero, "b": zero[0]}, TORCH)
    assert done.pullback(dy)[1]["0.b"].item() == 1026.0


def test_a_linear_layer_without_bias_has_no_b() -> None:
    assert list(Linear(3, bias=False).parameters(4)) == ["W"]
    assert Linear(3, bias=False).flops(4) == 24
    assert Linear(3).flops(4) == 27


def test_a_residual_block_adds_its_body_to_its_rows() -> None:
    rng = np.random.default_rng(0)
    parameters = {"body.0.W": rng.normal(size=(3, 3)), "body.0.b": rng.normal(size=3)}
    x = rng.normal(size=(5, 3))
    y = apply(Residual([Linear(3), ReLU()]), x, parameters, NUMPY).y
    np.testing.assert_array_equal(y, x + np.maximum(x @ parameters["body.0.W"] + parameters["body.0.b"], 0))


def test_a_residual_block_of_width_changing_layers_is_named_and_refused() -> None:
    message = "the body of a residual block turns width 4 into 3: x + body(x) needs the same width; end the body with Linear(4)"
    with pytest.raises(ConfigError, match=f"^{re.escape(message)}$"):
        Residual([LayerNorm(), Linear(3)]).n_out(4)


def test_an_empty_residual_block_is_refused() -> None:
    message = "Residual: a residual block with an empty body is y = 2x; list at least one layer in its body"
    with pytest.raises(ConfigError, match=f"^{re.escape(message)}$"):
        Residual([])


def test_a_residual_block_costs_its_body_and_one_addition_a_feature() -> None:
    assert Residual([Linear(6), ReLU(), Linear(4)]).flops(4) == 4 + (9 * 6) + 6 + (13 * 4)


@pytest.mark.parametrize(("options", "problem"), [
    ({"width": 0}, "width: should be greater than 0, got 0"),
    ({"width": 2.5}, "width: should be a whole number, got 2.5"),
    ({"width": 3, "init": "hey"}, "init: should be 'he', 'glorot', 'lecun', 'orthogonal', 'normal' or 'zeros', got 'hey'"),
    ({"width": 3, "init": 3}, "init: should be a text or a table, got 3"),
    ({"width": 3, "widht": 3}, "widht: unknown option (did you mean 'width'?)"),
])  # fmt: skip
def test_options_that_cannot_be_are_named_with_what_was_expected(options: dict[str, object], problem: str) -> None:
    with pytest.raises(ConfigError, match=f"^{re.escape('Linear: ' + problem)}$"):
        Linear(**options)

"""What every layer promises: pure, frozen, in the dtype of x, and the same under any leading axes."""

from dataclasses import FrozenInstanceError, fields
from typing import Any, get_args

import numpy as np
import pytest

from chainrule import layers as L
from chainrule.verify.builtin import LAYERS
from chainrule.verify.check import generic_values
from gradients import BOTH, NUMPY, apply, backend

N = 6
each_layer = pytest.mark.parametrize(
    "layer", [*LAYERS, L.LeakyReLU(0.3), L.Residual([L.BatchNorm(), L.Linear(N)])], ids=str
)
each_mode = pytest.mark.parametrize("training", [True, False], ids=["training", "evaluation"])


def point(
    layer: Any, leading: tuple[int, ...] = (), rows: int = 5
) -> tuple[dict[str, np.ndarray], np.ndarray, np.ndarray]:
    """Parameters of a stack of networks, x and dy."""
    rng = np.random.default_rng(3)
    stack = [generic_values(layer.parameters(N), i) for i in range(int(np.prod(leading)))]
    parameters = {name: np.stack([one[name] for one in stack]) for name in stack[0]}
    parameters = {name: value.reshape(leading + value.shape[1:]) for name, value in parameters.items()}
    return parameters, rng.normal(size=(*leading, rows, N)), rng.normal(size=(*leading, rows, layer.n_out(N)))


def test_every_kind_of_layer_is_among_those_tested_here() -> None:
    kinds = {layer.kind for layer in LAYERS}
    assert kinds == {cls.kind for cls in get_args(get_args(L.BuiltIn)[0])}


@each_mode
@pytest.mark.parametrize("on", BOTH, ids=lambda on: on.name)
@each_layer
def test_a_pass_changes_nothing_it_is_given_and_can_be_repeated(layer: Any, on: Any, training: bool) -> None:
    parameters, x, dy = point(layer)
    given = [on.array(a.copy()) for a in (*parameters.values(), x, dy)]
    held = dict(zip(parameters, given, strict=False))
    passes = []
    for _ in range(2):
        done = apply(layer, given[-2], held, on, training=training)
        for _ in range(2):
            dx, gradients = done.pullback(given[-1])
            passes.append([done.y, dx, *gradients.values(), *done.statistics.values()])
    for before, after in zip((*parameters.values(), x, dy), given, strict=True):
        np.testing.assert_array_equal(on.numpy(after), before)
    for other in passes[1:]:
        for first, again in zip(passes[0], other, strict=True):
            np.testing.assert_array_equal(on.numpy(first), on.numpy(again))


@each_layer
def test_a_layer_cannot_be_changed(layer: Any) -> None:
    for name in [f.name for f in fields(layer)]:
        with pytest.raises(FrozenInstanceError):
            setattr(layer, name, getattr(layer, name))


@each_mode
@pytest.mark.parametrize("leading", [(3,), (2, 2), (1,)], ids=str)
@each_layer
def test_stacked_parameters_give_what_each_gives_alone(layer: Any, leading: tuple[int, ...], training: bool) -> None:
    parameters, x, dy = point(layer, leading)
    for on in BOTH:
        for shared in (False, True):  # rows of its own for each network, or the same rows for all
            rows = x[(0,) * len(leading)] if shared else x
            held = {name: on.array(value) for name, value in parameters.items()}
            together = apply(layer, on.array(rows), held, on, training=training)
            # where nothing is stacked, neither is y
            stacked = not shared or bool(parameters)
            assert together.y.shape == ((*leading, 5, layer.n_out(N)) if stacked else (5, layer.n_out(N)))
            if not stacked:
                continue
            dx, gradients = together.pullback(on.array(dy))
            assert dx.shape == rows.shape
            total = np.zeros(rows.shape)
            for i in np.ndindex(leading):
                own = {name: value[i] for name, value in held.items()}
                alone = apply(layer, on.array(np.array(rows if shared else rows[i])), own, on, training=training)
                dx_alone, gradients_alone = alone.pullback(on.array(np.array(dy[i])))
                total[() if shared else i] += on.numpy(dx_alone)
                pairs = [(together.y, alone.y), *((gradients[k], v) for k, v in gradients_alone.items())]
                pairs += [(together.statistics[k], v) for k, v in alone.statistics.items()]
                for a, b in pairs:  # products of another shape round in another order
                    np.testing.assert_allclose(on.numpy(a)[i], on.numpy(b), rtol=1e-12, atol=1e-13)
            np.testing.assert_allclose(on.numpy(dx), total, rtol=1e-12, atol=1e-13)


# Unit roundoff is 2⁻²⁴ and 2⁻⁹. A layer rounds its inputs' sums and its result a few times, a residual block more often.
@each_mode
@pytest.mark.parametrize(("precision", "tolerance"), [("float32", 2e-6), ("bfloat16", 2e-2)])
@each_layer
def test_low_precision_is_close_to_float64(layer: Any, precision: str, tolerance: float, training: bool) -> None:
    parameters, x, dy = point(layer, rows=32)
    roles = layer.parameters(N)
    for name in ("numpy", "torch") if precision == "float32" else ("torch",):
        on = backend(name, precision)
        working = on.working(on.parameters(parameters), roles)
        x_low, dy_low = on.array(x, on.dtype), on.array(dy, on.dtype)
        narrow = apply(layer, x_low, working, on, training=training)
        exact = apply(
            layer, on.numpy(x_low).astype(np.float64),
            {k: on.numpy(v).astype(np.float64) for k, v in working.items()}, NUMPY, training=training,
        )  # fmt: skip
        dx, gradients = narrow.pullback(dy_low)
        exact_dx, exact_gradients = exact.pullback(on.numpy(dy_low).astype(np.float64))
        assert narrow.y.dtype == x_low.dtype
        assert dx.dtype == x_low.dtype
        pairs = [(narrow.y, exact.y), (dx, exact_dx), *((gradients[k], v) for k, v in exact_gradients.items())]
        pairs += [(narrow.statistics[k], v) for k, v in exact.statistics.items()]
        for ours, theirs in pairs:
            np.testing.assert_allclose(on.numpy(ours), theirs, rtol=0, atol=tolerance * np.abs(theirs).max())
        for statistic in narrow.statistics.values():
            assert statistic.dtype == on.master


@each_layer
def test_float64_stays_float64(layer: Any) -> None:
    parameters, x, dy = point(layer)
    for on in BOTH:
        done = apply(layer, on.array(x), {k: on.array(v) for k, v in parameters.items()}, on)
        dx, gradients = done.pullback(on.array(dy))
        assert {a.dtype for a in (done.y, dx, *gradients.values(), *done.statistics.values())} == {on.dtype}

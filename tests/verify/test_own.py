"""The proof of layers and losses of one's own, and what is said of those that break the contract."""

import numpy as np
import pytest

import chainrule as cr
from chainrule.verify import check_layer, check_loss, check_network, passed
from own_parts import Absolute


class Cube(cr.Layer):
    """Without a pullback of its own."""

    def forward(self, parameters, x, context):
        return x**3


def test_a_layer_without_a_pullback_is_checked_and_said():
    comparisons = check_layer(Cube(), 4)
    assert passed(comparisons)
    assert {f.against: f.note for f in comparisons} == {
        "central differences": "",
        "autograd": "(pullback of Cube is autograd's own)",
    }
    network = cr.Network((cr.Linear(4), cr.Residual((Cube(),)), cr.Linear(2)), 3)
    rng = np.random.default_rng(0)
    found = check_network(network, cr.SoftmaxCrossEntropy(), rng.normal(size=(5, 3)), rng.integers(0, 2, 5))
    assert passed(found)
    assert {f.note for f in found if f.against == "autograd"} == {"(pullback of Cube is autograd's own)"}


def test_a_layer_without_a_pullback_is_refused_on_numpy():
    network = cr.Network((Cube(), cr.Linear()))
    with pytest.raises(cr.ConfigError) as caught:
        cr.train(network, cr.read("digits"), compute=cr.Compute(backend="numpy"))
    assert str(caught.value) == (
        "Layer 0 (Cube) returns no pullback, and this backend cannot derive one. "
        "Return (y, pullback) from its forward, or train with backend 'torch'."
    )


class LogScale(cr.Layer):
    """y = ln(t) x, for t > 0."""

    def parameters(self, n_in):
        return {"t": cr.Parameter((n_in,), "norm", 2.0)}

    def forward(self, parameters, x, context):
        t, xp = parameters["t"][..., None, :], context.xp
        return xp.log(t) * x, lambda dy: (xp.log(t) * dy, {"t": xp.sum(x * dy / t, axis=-2)})


def test_a_parameter_is_checked_around_the_number_that_it_starts_at():
    assert passed(check_layer(LogScale(), 4))


class Centred(cr.Layer):
    """y = x - m, with running statistics and without a pullback."""

    def parameters(self, n_in):
        return {"m": cr.Parameter((n_in,), "running", 0.0)}

    def forward(self, parameters, x, context):
        return x - parameters["m"][..., None, :]


def test_running_statistics_of_a_layer_without_a_pullback_have_no_gradient():
    comparisons = check_layer(Centred(), 4)
    assert {one.parameter for one in comparisons} == {"x"}
    assert passed(comparisons)


@pytest.mark.filterwarnings("ignore:__array_wrap__ must accept")  # what NumPy says of the very call
@pytest.mark.parametrize("whole", [True, False])
def test_a_layer_that_calls_numpy_on_tensors_is_told_to_use_the_namespace(whole):
    class Sine(cr.Layer):
        def forward(self, parameters, x, context):
            return (np.sin(x), lambda dy: (np.cos(x) * dy, {})) if whole else np.sin(x)

    with pytest.raises(cr.ConfigError) as caught:
        check_layer(Sine(), 3)
    assert str(caught.value) == (
        "Layer 0 (Sine) calls NumPy on a tensor of torch. Use context.xp in its forward and pullback, such as "
        "context.xp.sin(x) for np.sin(x)."
    )
    assert isinstance(caught.value.__cause__, RuntimeError)


def rows_in_place(self, z, target, xp):
    z -= target
    return xp.mean(xp.abs(z), axis=-1), xp.sign(z) / z.shape[-1]


def rows_by_numpy(self, z, target, xp):
    d = z - target
    return np.mean(np.abs(d), axis=-1), xp.sign(d) / z.shape[-1]


def rows_by_a_method_of_numpy(self, z, target, xp):
    d = z - target
    return np.mean(xp.abs(d), axis=-1), xp.sign(d) / z.shape[-1]


def rows_by_a_ufunc(self, z, target, xp):
    d = z - target
    return xp.mean(np.abs(d), axis=-1), xp.sign(d) / z.shape[-1]


NUMPY = "calls NumPy on a tensor of torch. Use xp in its rows and predict, such as xp.sin(z) for np.sin(z)."


@pytest.mark.filterwarnings("ignore:__array_wrap__ must accept")  # what NumPy says of the very call
@pytest.mark.parametrize(
    ("rows", "message"),
    [
        (
            rows_in_place,
            "loss Own: rows changes z in place, which predictions are still made from; make a new array, such as z - t "
            "for z -= t",
        ),
        (rows_by_numpy, f"Loss Own {NUMPY}"),
        (rows_by_a_method_of_numpy, f"Loss Own {NUMPY}"),
        (rows_by_a_ufunc, f"Loss Own {NUMPY}"),
        (
            lambda self, z, target, xp: (z - target, z - target),
            "loss Own: rows gives shapes (5, 3) and (5, 3); expected (5,), a number a row, and (5, 3), its slopes",
        ),
        (
            lambda self, z, target, xp: z - target,
            "loss Own: rows returns an array of shape (5, 3); expected (values, slopes), of shapes (5,) and (5, 3)",
        ),
        (
            lambda self, z, target, xp: None,
            "loss Own: rows returns None; expected (values, slopes), of shapes (5,) and (5, 3)",
        ),
        (
            lambda self, z, target, xp: (0.0, z),
            "loss Own: rows gives shapes () and (5, 3); expected (5,), a number a row, and (5, 3), its slopes",
        ),
    ],
)
def test_a_loss_that_breaks_the_contract_is_told_how(rows, message):
    loss, rng = type("Own", (Absolute,), {"rows": rows})(), np.random.default_rng(0)
    target = rng.normal(size=(5, 3))
    with pytest.raises(cr.ConfigError) as caught:
        check_loss(loss, 3, target)
    assert str(caught.value) == message
    with pytest.raises(cr.ConfigError) as caught:
        check_network(cr.Network((cr.Linear(3),), 4), loss, rng.normal(size=(5, 4)), target)
    assert str(caught.value) == message
    assert passed(check_loss(Absolute(), 3, target))


@pytest.mark.parametrize("part", ["x", "dy"])
def test_a_layer_that_changes_its_input_in_place_is_told_so(part):
    """x is such as the layer may be given, so that a change of what is negative shows."""

    class Rectified(cr.Layer):
        def forward(self, parameters, x, context):
            positive = x > 0
            if part == "x":
                x *= positive

            def pullback(dy):
                if part == "dy":
                    dy *= positive
                return dy * positive, {}

            return x * positive, pullback

    with pytest.raises(cr.ConfigError) as caught:
        check_layer(Rectified(), 3)
    where = "forward" if part == "x" else "its pullback"
    assert str(caught.value) == (
        f"layer 0 (Rectified): {where} changes {part} in place, which other layers and the way back still need; make a "
        f"new array, such as 2 * {part} for {part} *= 2"
    )

"""The proof itself: wrong pullbacks are caught, kinks are told from errors, and the table says which is which."""

import numpy as np
import pytest

import chainrule as cr
from chainrule.verify import Comparison, check_layer, check_loss, check_network, passed, table
from chainrule.verify.builtin import check_builtin
from chainrule.verify.differences import central_differences


def failed(comparisons):
    return {(f.parameter, f.against) for f in comparisons if f.verdict == "FAIL"}


def test_every_built_in_layer_and_loss_is_proved():
    comparisons = check_builtin()
    assert {f.verdict for f in comparisons} == {"pass"}
    assert {f.against for f in comparisons} == {"central differences", "autograd", "numpy against torch"}
    assert max(f.error for f in comparisons if f.against == "central differences") < 1e-8


def wrong(layer_type, change):
    """The layer with its pullback changed."""

    class Wrong(layer_type):
        def forward(self, parameters, x, context):
            y, pullback, *statistics = layer_type.forward(self, parameters, x, context)
            return y, lambda dy: change(*pullback(dy)), *statistics

    return Wrong


@pytest.mark.parametrize(
    ("layer", "change", "parameter"),
    [
        (cr.Linear, lambda dx, g: (dx, g | {"W": 1.0001 * g["W"]}), "W"),
        (cr.Linear, lambda dx, g: (dx, g | {"b": g["b"] / 5}), "b"),
        (cr.Linear, lambda dx, g: (-dx, g), "x"),
        (cr.Tanh, lambda dx, g: (dx * (1 + 1e-6), g), "x"),
        (cr.BatchNorm, lambda dx, g: (dx + 1e-5, g), "x"),
        (cr.LayerNorm, lambda dx, g: (dx, g | {"gamma": g["beta"]}), "gamma"),
    ],
)
def test_a_wrong_pullback_is_caught_by_both_witnesses_where_it_is_wrong(layer, change, parameter):
    options = {"width": 4} if layer is cr.Linear else {}
    comparisons = check_layer(wrong(layer, change)(**options), 6)
    assert failed(comparisons) == {(parameter, "central differences"), (parameter, "autograd")}
    assert not passed(comparisons)


def test_a_wrong_pullback_inside_a_network_is_caught_upstream_of_it():
    bad = wrong(cr.ReLU, lambda dx, g: (2 * dx, g))()
    network = cr.Network((cr.Linear(5), bad, cr.Linear(3)), 4)
    rng = np.random.default_rng(0)
    comparisons = check_network(network, cr.SoftmaxCrossEntropy(), rng.normal(size=(6, 4)), rng.integers(0, 3, 6))
    assert {parameter for parameter, _ in failed(comparisons)} == {"0.W", "0.b", "x"}


def test_a_loss_whose_gradient_is_of_another_reduction_is_caught():
    """The mean over outputs in the value, the sum in the gradient: a mistake that stood for years elsewhere."""

    class Wrong(cr.SquaredError):
        def rows(self, z, target, xp):
            values, slopes = cr.SquaredError.rows(self, z, target, xp)
            return values, slopes * z.shape[-1]

    target = np.random.default_rng(0).normal(size=(5, 3))
    assert failed(check_loss(Wrong(), 3, target)) == {("logits", "central differences"), ("logits", "autograd")}
    assert passed(check_loss(Wrong(), 1, target[:, :1]))


def test_a_penalty_whose_gradient_lacks_its_factor_is_caught(monkeypatch):
    import chainrule.objective

    right = chainrule.objective.with_penalty
    monkeypatch.setattr(
        chainrule.objective, "with_penalty", lambda g, p, names, penalty: right(g, p, names, penalty / 2)
    )
    network = cr.Network((cr.Linear(3),), 4)
    rng = np.random.default_rng(0)
    arguments = (network, cr.SoftmaxCrossEntropy(), rng.normal(size=(6, 4)), rng.integers(0, 3, 6))
    assert failed(check_network(*arguments, penalty=0.1)) == {("0.W", "central differences"), ("0.W", "autograd")}
    assert passed(check_network(*arguments, penalty=0.0))


def test_the_report_sized_network_is_proved():
    """3072-50-10 with weights of 1e-4 on raw pixels, the scale at which two-point differences drown in rounding."""
    rng = np.random.default_rng(0)
    network = cr.mlp([50], init=cr.Init("normal", std=1e-4)).sized(3072, 10)
    x = rng.integers(0, 256, (8, 3072)) - 120.0
    comparisons = check_network(network, cr.SoftmaxCrossEntropy(), x, rng.integers(0, 10, 8), penalty=0.25, n_entries=6)
    assert passed(comparisons)
    assert all(f.error < 1e-8 for f in comparisons if f.against == "autograd")


def test_an_entry_at_a_kink_is_counted_and_not_compared():
    values = np.array([0.0, 1.0, -1.0])
    found = central_differences(lambda: float(np.maximum(values, 0).sum()), values, 1.0, 3, np.random.default_rng(0))
    assert found.entries.tolist() == [0, 1, 2]
    assert found.settled.tolist() == [False, True, True]
    np.testing.assert_allclose(found.estimates[1:], [1, 0], atol=1e-10)


def test_the_differences_leave_the_array_as_it_was():
    values = np.random.default_rng(0).normal(size=(3, 2))
    before = values.copy()
    central_differences(lambda: float(np.sum(values**3)), values, 1.0, 6, np.random.default_rng(0))
    np.testing.assert_array_equal(values, before)


def test_only_kinks_is_no_proof():
    assert Comparison("relu", "x", "central differences", 0, 5, float("nan")).verdict == "FAIL"
    assert Comparison("relu", "x", "autograd", 0, 0, 0.0).verdict == "not run"
    assert Comparison("relu", "x", "autograd", 3, 0, float("nan")).verdict == "FAIL"


def test_the_table_reads_well():
    comparisons = [
        Comparison("0 linear 3", "W", "central differences", 12, 1, 3.14e-11),
        Comparison("0 linear 3", "W", "autograd", 120, 0, 2.0, "(a note)"),
        Comparison("0 linear 3", "W", "numpy against torch", 0, 0, 0.0, "(PyTorch is not installed)"),
    ]
    assert table(comparisons) == (
        "layer       parameter  against              entries  at kinks  max rel. error  bound  verdict\n"
        "0 linear 3  W          central differences       12         1         3.1e-11  1e-07  pass\n"
        "0 linear 3  W          autograd                 120         0         2.0e+00  1e-12  FAIL (a note)\n"
        "0 linear 3  W          numpy against torch        0         0               -  1e-10  "
        "not run (PyTorch is not installed)"
    )


def at_zero(layer):
    """A network whose first layer meets rows that are exactly 0 here and there, as constant features become."""
    rng = np.random.default_rng(0)
    x = rng.normal(size=(6, 3))
    x[0], x[3, 1] = 0, 0
    network = cr.Network((layer, cr.Linear(4), cr.Tanh(), cr.Linear(2)), 3)
    return check_network(network, cr.SquaredError(), x, rng.normal(size=(6, 2)), n_entries=18)


@pytest.mark.parametrize("layer", [cr.ReLU(), cr.SELU(), cr.LeakyReLU()], ids=repr)
def test_rows_at_a_kink_are_reported_as_such_and_not_as_errors(layer):
    """PyTorch's own slope of max(x, 0) at 0 is ½, so autograd too has to be told kinks from errors."""
    found = {f.against: f for f in at_zero(layer) if f.parameter == "x"}
    assert {f.verdict for f in found.values()} == {"pass"}
    assert (found["central differences"].entries, found["central differences"].kinks) == (14, 4)
    assert found["autograd"].entries + found["autograd"].kinks == 18


@pytest.mark.parametrize("layer", [cr.Sigmoid(), cr.SiLU(), cr.Mish(), cr.GELU(), cr.Tanh()], ids=repr)
def test_a_smooth_function_has_no_kink_at_zero(layer):
    comparisons = at_zero(layer)
    assert passed(comparisons)
    assert all(f.kinks == 0 for f in comparisons if f.against == "central differences")


@pytest.mark.parametrize(
    ("change", "witnesses"),
    [
        # wrong by less than differences can see: autograd alone catches it, and is not overruled
        (lambda dx, g: (dx * (1 + 1e-9), g), {"autograd"}),
        (lambda dx, g: (dx * (1 + 1e-6), g), {"autograd", "central differences"}),
    ],
)
def test_kinks_hide_no_error_beside_them(change, witnesses):
    comparisons = at_zero(wrong(cr.ReLU, change)())
    assert failed(comparisons) == {("x", against) for against in witnesses}


def test_a_gradient_summed_over_too_few_rows_is_caught():
    comparisons = check_layer(wrong(cr.Linear, lambda dx, g: (dx, g | {"b": 0.8 * g["b"]}))(4), 3)
    assert failed(comparisons) == {("b", "central differences"), ("b", "autograd")}


def test_a_gradient_of_the_evaluation_mode_in_training_is_caught():
    """Batch norm whose pullback takes the batch's statistics for constants, the usual mistake."""

    class Wrong(cr.BatchNorm):
        def forward(self, parameters, x, context):
            y, pullback, statistics = cr.BatchNorm.forward(self, parameters, x, context)
            r = 1 / context.xp.sqrt(context.xp.mean((x - x.mean(0)) ** 2, axis=0) + self.epsilon)
            return y, lambda dy: (dy * parameters["gamma"] * r, pullback(dy)[1]), statistics

    assert failed(check_layer(Wrong(), 4)) == {("x", "central differences"), ("x", "autograd")}


def test_dropout_that_draws_a_new_mask_for_its_pullback_is_caught():
    class Wrong(cr.Dropout):
        def forward(self, parameters, x, context):
            y, _ = cr.Dropout.forward(self, parameters, x, context)
            other = context.mask("another", x.shape[-2], x.shape[-1], self.rate, x.dtype)
            return y, lambda dy: (dy * other, {})

    assert failed(check_layer(Wrong(0.5), 6)) == {("x", "central differences"), ("x", "autograd")}


def test_weights_forgotten_in_the_slope_are_caught():
    class Wrong(cr.SquaredError):
        def __call__(self, logits, target, weight, xp):
            return super().__call__(logits, target, weight, xp)[0], super().__call__(logits, target, None, xp)[1]

    rng = np.random.default_rng(0)
    target, weight = rng.normal(size=(5, 3)), rng.uniform(0.5, 2, 5)
    assert failed(check_loss(Wrong(), 3, target, weight)) == {("logits", "central differences"), ("logits", "autograd")}
    assert passed(check_loss(Wrong(), 3, target))


def test_an_error_on_one_backend_only_is_caught_between_them():
    class Wrong(cr.Tanh):
        def forward(self, parameters, x, context):
            y, pullback = cr.Tanh.forward(self, parameters, x, context)
            factor = 1.0 if context.xp is np else 1.1
            return y, lambda dy: (factor * pullback(dy)[0], {})

    assert failed(check_layer(Wrong(), 4)) == {("x", "numpy against torch")}


def test_without_torch_differences_alone_decide(monkeypatch):
    monkeypatch.setattr("chainrule.verify.check.find_spec", lambda name: None)
    comparisons = check_layer(cr.Tanh(), 3)
    assert [(f.against, f.verdict, f.note) for f in comparisons] == [
        ("central differences", "pass", ""),
        ("autograd", "not run", "(PyTorch is not installed)"),
        ("numpy against torch", "not run", "(PyTorch is not installed)"),
    ]
    assert passed(comparisons)
    assert not passed(check_layer(wrong(cr.Tanh, lambda dx, g: (2 * dx, g))(), 3))


@pytest.mark.parametrize("power", [1, 2, 3])
def test_differences_of_polynomials_are_exact_to_ten_digits(power):
    values = np.random.default_rng(1).normal(size=20)
    expected = power * values ** (power - 1)
    found = central_differences(
        lambda: float(np.sum(values**power)), values, np.abs(expected).max(), 20, np.random.default_rng(0)
    )
    assert found.settled.all()
    np.testing.assert_allclose(found.estimates, expected, atol=1e-10 * np.abs(expected).max())


@pytest.mark.parametrize("distance", [1e-1, 1e-2, 1e-3, 1e-4])
def test_a_kink_near_an_entry_spoils_no_estimate(distance):
    """Whatever is called settled is right, however near the kink."""
    values = np.array([distance, -distance, 1.0])
    f = central_differences(lambda: float(np.sum(np.maximum(values, 0))), values, 1.0, 3, np.random.default_rng(0))
    np.testing.assert_allclose(f.estimates[f.settled], np.array([1.0, 0.0, 1.0])[f.settled], atol=1e-7)
    assert f.settled.all() or distance < 1e-3


def test_differences_can_be_asked_of_named_entries():
    values = np.arange(12.0).reshape(3, 4)
    among = np.array([2, 5, 7])
    found = central_differences(lambda: float(np.sum(values**2)), values, 1.0, 12, np.random.default_rng(0), among)
    assert found.entries.tolist() == [2, 5, 7]
    np.testing.assert_allclose(found.estimates, [4.0, 10.0, 14.0], rtol=1e-9)


def test_the_values_are_put_back_even_when_the_function_fails():
    values = np.ones(3)

    def f():
        if values[0] > 1:
            raise FloatingPointError("out of range")
        return float(values.sum())

    with pytest.raises(FloatingPointError):
        central_differences(f, values, 1.0, 3, np.random.default_rng(0))
    np.testing.assert_array_equal(values, np.ones(3))


@pytest.mark.parametrize("loss", ["huber", cr.Huber, None])
def test_what_is_no_loss_and_no_network_is_refused(loss):
    rows, target = np.ones((4, 3)), np.ones((4, 2))
    with pytest.raises(cr.ConfigError, match=r"^loss is .*; expected a loss, such as Huber\(\)$"):
        check_loss(loss, 2, target)
    with pytest.raises(cr.ConfigError, match=r"^loss is .*; expected a loss, such as Huber\(\)$"):
        check_network(cr.mlp([4]).sized(3, 2), loss, rows, target)
    with pytest.raises(cr.ConfigError, match=r"^network is \[4\]; expected a Network, such as mlp\(\[4\]\)\.sized"):
        check_network([4], cr.Huber(), rows, target)

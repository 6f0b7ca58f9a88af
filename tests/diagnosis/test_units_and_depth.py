"""Dead and saturated units, and signals that fade or grow, each beside a healthy neighbour."""

import pytest

import chainrule as cr
from chainrule.diagnosis.depth import signal
from chainrule.diagnosis.diagnose import diagnose
from chainrule.diagnosis.probe import probe
from chainrule.training import load
from chainrule.training.plan import plan
from chainrule.training.step import resident, start
from diagnosis.trained import NUMPY, trained

DIGITS = cr.read("digits")
TINY = "network.init={kind='normal',std=1e-3}"
FIVE = "network.hidden=[100,100,100,100]"
TORCH = "compute.backend='torch'"


def at_start(*changes, data=DIGITS, network=None, change=lambda parameters: None):
    """The findings before the first step, after `change` of the initial parameters."""
    config = load(None, [*NUMPY, *changes])
    decided = plan(config, data, network or config.network.build())
    with decided.backend.scope():
        state = start(decided)
        change(state.parameters)
        return {found.name: found for found in diagnose(decided, resident(decided), state, 0, [])}


@pytest.mark.parametrize("precision", ["numpy float32", "torch float32", "torch bfloat16", "torch float64"])
def test_five_layers_of_weights_1e_3_are_found(precision):
    backend, dtype = precision.split()
    chosen = (f"compute.backend='{backend}'", f"compute.precision='{dtype}'")
    found = at_start(FIVE, TINY, *chosen)["signal-fades"]
    assert found.severity == "problem"
    assert (
        "At the start of training, the deviation over rows of what enters layer 2 (Linear) to layer 8" in found.measured
    )
    assert "Set network.init = 'he'" in found.change
    assert at_start(FIVE, *chosen) == {}


@pytest.mark.parametrize("norm", ["batch", "layer"])
def test_behind_a_norm_small_weights_are_no_finding(norm):
    run = trained(DIGITS, FIVE, TINY, f"network.norm='{norm}'", "training.epochs=4", watch=True)
    assert run.problems() == []
    assert not run.names() & {"signal-fades", "signal-grows"}


def test_a_bad_start_is_found_when_only_the_initial_state_shows_it():
    options = ("network.hidden=[100,100]", TINY, "training.epochs=10")
    run = trained(DIGITS, *options)
    assert run.the("signal-fades").severity == "hint"  # Adam has overcome it
    assert "At the start" in run.the("signal-fades").measured
    assert "signal-fades" not in trained(DIGITS, *options, initial=False).names()


def test_what_the_initial_weights_killed_is_not_blamed_on_the_rate():
    run = trained(DIGITS, FIVE, TINY, "training.epochs=3")
    assert run.the("signal-fades").severity == "problem"
    assert run.the("dead-units").change == "Mend the initial weights first: see signal-fades."
    assert "learning-rate-low" not in run.names()


def test_zeros_start_no_hidden_layer_but_a_linear_model():
    assert at_start("network.hidden=[20]", "network.init='zeros'")["signal-fades"].severity == "problem"
    assert at_start("network.hidden=[]", "network.init='zeros'") == {}


def test_zero_weights_at_the_end_of_a_residual_body_are_a_usual_start():
    block = cr.Residual((cr.LayerNorm(), cr.Linear(32), cr.GELU(), cr.Linear(32, init="zeros")))
    network = cr.Network((cr.Linear(32), block, block, cr.LayerNorm(), cr.Linear()))
    assert at_start(network=network) == {}


def test_zero_weights_in_the_last_layer_are_a_usual_start():
    network = cr.Network((cr.Linear(32), cr.ReLU(), cr.Linear(32), cr.ReLU(), cr.Linear(init="zeros")))
    assert at_start(network=network) == {}


def test_two_small_hidden_layers_are_enough():
    assert at_start("network.hidden=[1000,1000]", TINY)["signal-fades"].severity == "problem"


def test_a_constant_offset_is_no_signal():
    def lift(parameters):
        for i in (0, 2, 4, 6):
            parameters[f"{i}.b"][:] = 1.0

    found = at_start(FIVE, TINY, change=lift)["signal-fades"]
    assert (found.severity, "the deviation over rows" in found.measured) == ("problem", True)


def test_the_signal_is_that_of_the_networks_own_layers():
    block = cr.Residual((cr.Linear(32), cr.ReLU(), cr.Linear(32)))
    network = cr.Network((cr.Linear(32), cr.ReLU(), block, cr.Dropout(0.5), cr.Linear(8), cr.Tanh(), cr.Linear()))
    config = load(None, NUMPY)
    decided = plan(config, DIGITS, network)
    with decided.backend.scope():
        state = start(decided)
        found = signal(decided, probe(decided, resident(decided), state.parameters, 0))
    assert found.names == ("layer 2 (Residual)", "layer 4 (Linear)", "layer 6 (Linear)")
    assert len(found.forward) == len(found.backward) == 3
    assert min(*found.forward, *found.backward) > 0


def test_a_signal_lost_on_the_way_is_no_fault_of_the_start():
    config = load(None, [*NUMPY, "network.hidden=[64,64,64,64]", "network.init={kind='normal',std=0.15}"])
    decided = plan(config, DIGITS, config.network.build())
    with decided.backend.scope():
        first = start(decided)
        later = {name: value * (1e-3 if name.endswith("W") and name != "0.W" else 1)
                 for name, value in first.parameters.items()}  # fmt: skip
        found = diagnose(decided, resident(decided), first._replace(parameters=later), 50, [], first)
    assert [one.name for one in found] == ["signal-fades"]
    assert found[0].measured.startswith("Now, ")
    assert found[0].change.startswith("Lower optimizer.lr")


def test_large_weights_grow_the_signal_and_start_far_off():
    found = at_start(FIVE, "network.init={kind='normal',std=1.0}")
    assert {"signal-grows", "start-far-off"} <= set(found)
    assert found["start-far-off"].severity == "problem"
    assert found["start-far-off"].change.startswith("Set network.init = 'he'")


def test_a_list_of_layers_is_told_so():
    small = cr.Init("normal", std=1e-3)
    network = cr.Network((cr.Linear(50, small), cr.ReLU(), cr.Linear(50, small), cr.Tanh(), cr.Linear(50, small),
                          cr.ReLU(), cr.Linear(init=small)))  # fmt: skip
    config = load(None, [*NUMPY, "network.layers=[{kind='linear'}]"])
    decided = plan(config, DIGITS, network)
    with decided.backend.scope():
        found = diagnose(decided, resident(decided), start(decided), 0, [])
    assert "Set init = 'glorot' in the linear layers" in next(f for f in found if f.name == "signal-fades").change


@pytest.mark.parametrize("backend", ["numpy", "torch"])
@pytest.mark.parametrize("activation", ["relu", "gelu", "silu", "selu", "mish"])
def test_units_that_are_flat_for_every_row_are_counted(activation, backend):
    def push_down(parameters):
        parameters["0.b"][:30] = -100.0

    changes = (f"network.activation='{activation}'", "network.hidden=[50]", f"compute.backend='{backend}'")
    found = at_start(*changes, change=push_down)["dead-units"]
    assert (found.where.split()[:2], found.severity) == (["layer", "1"], "problem")
    assert found.measured.startswith("30 of 50 units (60%) are flat for each of 512 training rows")
    assert at_start(*changes) == {}


def test_a_leaky_unit_is_never_dead():
    def push_down(parameters):
        parameters["0.b"][:] = -100.0

    assert "dead-units" not in at_start("network.activation='leaky_relu'", change=push_down)


def test_dead_units_inside_a_residual_block_are_named_by_their_path():
    network = cr.Network((cr.Linear(20), cr.Residual((cr.Linear(20), cr.ReLU(), cr.Linear(20))), cr.Linear()))

    def push_down(parameters):
        parameters["1.body.0.b"][:] = -100.0

    assert at_start(network=network, change=push_down)["dead-units"].where == "layer 1.body.1 (ReLU)"


@pytest.mark.parametrize("activation", ["tanh", "sigmoid"])
def test_saturated_units_are_counted(activation):
    changes = ("network.hidden=[50]", f"network.activation='{activation}'")

    def stretch(parameters):
        parameters["0.W"] *= 300.0

    found = at_start(*changes, change=stretch)["saturated-units"]
    assert found.severity == "problem"
    assert "of 50 units" in found.measured
    assert at_start(*changes) == {}

    def lean(parameters):
        parameters["0.W"] *= 0.01
        parameters["0.b"][:] = 1.0 if activation == "tanh" else 2.0  # the slope is 0.42 of the largest

    assert "saturated-units" not in at_start(*changes, change=lean)


def test_a_rate_far_too_high_kills_units_and_nothing_else_is_blamed():
    run = trained(DIGITS, "optimizer.lr=1.0", "network.hidden=[100,100]", "training.epochs=8")
    assert run.the("dead-units").change.startswith("Lower optimizer.lr")
    assert not run.names() & {"signal-fades", "signal-grows", "learning-rate-low"}

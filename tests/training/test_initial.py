"""`train(..., initial=...)`: on from given parameters, to what one training would have come to."""

import numpy as np
import pytest

import chainrule as cr

DIGITS = cr.read("digits")
COMPUTE = {"numpy": cr.Compute("numpy", precision="float64", threads=1),
           "torch": cr.Compute("torch", "cpu", "float64", 1)}  # fmt: skip


def trained(epochs, *, initial=None, backend="numpy", network=None, **more):
    # one batch an epoch, so that the order of the rows, which a second run draws anew, changes nothing but rounding
    how = {"training": cr.Training(epochs=epochs, batch_size=1294), "optimizer": cr.Adam(0.01)} | more
    return cr.train(network or cr.mlp([8]), DIGITS, compute=COMPUTE[backend], initial=initial, **how)


def gap(one, other):
    return max(float(np.abs(one.parameters[name] - other.parameters[name]).max()) for name in one.parameters)


@pytest.mark.parametrize("backend", ["numpy", "torch"])
@pytest.mark.parametrize("optimizer", [cr.Adam(0.01), cr.SGD(0.1, momentum=0.9), cr.AdamW(0.01), cr.RMSprop(0.001)])
def test_two_halves_are_the_whole(backend, optimizer):
    whole = trained(6, backend=backend, optimizer=optimizer)
    half = trained(3, backend=backend, optimizer=optimizer)
    other = trained(3, backend=backend, optimizer=optimizer, initial=half.end)
    assert gap(whole.model, half.model) > 1e-3
    assert gap(whole.model, other.model) < 1e-9
    assert other.end.step == 6
    assert other.history[-1]["step"] == 3


def test_members_go_on_together_and_alone():
    whole = trained(4, seeds=2)
    half = trained(2, seeds=2)
    together = trained(2, seeds=2, initial=[run.end for run in half])
    assert all(gap(a.model, b.model) < 1e-9 for a, b in zip(whole, together, strict=True))
    ahead = trained(1, initial=half[1].end)  # another number of steps: the two no longer share theirs
    apart = trained(2, seeds=2, initial=[half[0].end, ahead.end])
    assert gap(apart[0].model, whole[0].model) < 1e-9
    assert apart[1].end.step == 5


def test_the_preprocessing_stays_the_one_of_the_parameters():
    first = trained(1)
    shifted = cr.Dataset("shifted", DIGITS.X + 100.0, DIGITS.y, "classification", DIGITS.target_names)
    how = {"training": cr.Training(epochs=1, batch_size=1294), "compute": COMPUTE["numpy"]}
    on = cr.train(cr.mlp([8]), shifted, initial=first.end, **how)
    assert on.model.preprocessing is first.model.preprocessing


def test_new_slots_begin_at_zero():
    half = trained(3)
    fresh = cr.training.Initial(half.model.parameters, half.model.preprocessing, half.model.target)
    assert trained(1, initial=fresh, optimizer=cr.SGD(0.1)).end.step == 1


def test_what_does_not_fit_is_refused():
    end = trained(1).end
    with pytest.raises(cr.ConfigError) as caught:
        trained(1, initial=end, network=cr.mlp([9]))
    assert str(caught.value) == (
        "the parameters to go on from do not fit the network: 0.W has shape (64, 8), expected (64, 9); give the network "
        "that they were trained in"
    )
    with pytest.raises(cr.ConfigError, match="the optimiser's arrays to go on from do not fit SGD; give slots=None"):
        trained(1, initial=end, optimizer=cr.SGD(0.1))
    with pytest.raises(cr.ConfigError, match="initial holds 1 for 2 seeds; give one for each"):
        trained(1, initial=[end], seeds=2)


def test_a_run_directory_cannot_say_what_it_started_from(tmp_path):
    end = trained(1).end
    for start, more in ((end, {}), ([end, end], {"seeds": 2})):
        with pytest.raises(cr.ConfigError, match="initial cannot be written down in a run directory"):
            trained(1, initial=start, output=tmp_path / "run", **more)
    assert not (tmp_path / "run").exists()


def test_each_seed_keeps_the_preprocessing_of_its_own_start():
    ends = [trained(1, preprocessing=kind).end for kind in ("standardise", "none")]
    how = {"training": cr.Training(epochs=2, batch_size=1294), "compute": COMPUTE["numpy"]}
    both = cr.train(cr.mlp([8]), DIGITS, initial=ends, seeds=2, **how)
    for i, (end, run) in enumerate(zip(ends, both, strict=True)):
        alone = cr.train(
            cr.mlp([8]), DIGITS, initial=end, **how | {"training": cr.Training(epochs=2, batch_size=1294, seed=i)}
        )
        assert run.model.preprocessing is end.preprocessing
        assert gap(run.model, alone.model) == 0

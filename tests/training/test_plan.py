"""What is refused before the first step because it does not fit the length of the run."""

import pytest

import chainrule as cr

DIGITS = cr.read("digits")


@pytest.mark.parametrize("schedule", [cr.Constant, cr.Exponential, cr.Step, cr.Cosine, cr.FlatCosine])
def test_a_warm_up_is_not_longer_than_the_run(schedule, tmp_path):
    how = {"training": cr.Training(epochs=2, batch_size=100), "compute": cr.Compute("numpy", threads=1)}
    with pytest.raises(cr.ConfigError) as refused:
        cr.train(cr.mlp([4]), DIGITS, schedule=schedule(warm_up=2.5), output=tmp_path / "run", **how)
    assert str(refused.value) == (
        "schedule.warm_up 2.5 is 32 steps, more than the 26 of the run; set it lower, or train for longer"
    )
    assert not (tmp_path / "run").exists()
    assert cr.train(cr.mlp([4]), DIGITS, schedule=schedule(warm_up=2), **how).metrics["steps"] == 26

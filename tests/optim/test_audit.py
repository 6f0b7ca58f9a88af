"""A user's own rule and schedule that break the contract are named before any training."""

import numpy as np
import pytest

import chainrule as cr

X = np.random.default_rng(0).normal(size=(60, 3))
NUMBERS = cr.Dataset("numbers", X, X[:, 0], "regression", ("y",))


def rule(step=lambda p, g, slots: (p - 0.01 * g, ()), **own):
    class Own(cr.Optimizer):
        lr, slots = 0.01, ()

        def step(self, p, g, slots, lr, t, xp):
            return step(p, g, slots)

    for name, value in own.items():
        setattr(Own, name, value)
    return Own()


def schedule(warm_up=0.0, after=lambda step, n_steps: 1.0):
    class Own(cr.Schedule):
        def after(self, step, n_steps, per_epoch):
            return after(step, n_steps)

    Own.warm_up = warm_up
    Own.__abstractmethods__ = frozenset()
    return Own()


def without_lr():
    made = rule()
    del type(made).lr
    return made


def in_place(which):
    def step(p, g, slots):
        changed = (p, g, *slots)[which]
        changed -= 0.5
        return 2 * p, tuple(2 * slot for slot in slots)

    return rule(step, slots=("m",))


def refusal(option, part, backend="numpy"):
    compute = cr.Compute(backend, precision="float32", device="cpu", threads=1)
    with pytest.raises(cr.ConfigError) as caught:
        cr.train(cr.mlp([8]), NUMBERS, compute=compute, training=cr.Training(epochs=4, batch_size=9), **{option: part})
    return str(caught.value)


STEPS = [
    (lambda p, g, s: p - g, (), "step returns an array of shape (3, 8); expected (p, slots), such as p - lr * g, ()"),
    (lambda p, g, s: None, (), "step returns None; expected (p, slots), such as p - lr * g, ()"),
    (lambda p, g, s: (p[:1], ()), (), "step gives p of shape (1, 8) for 0.W; expected that of p, (3, 8)"),
    (lambda p, g, s: (0.5, ()), (), "step gives p of 0.5 for 0.W; expected that of p, (3, 8)"),
    (lambda p, g, s: (p, (p,)), (), "step gives 1 slots; expected a tuple of 0, for its slots are ()"),
    (lambda p, g, s: (p, p), ("m",), "step gives slots of an array of shape (3, 8); expected a tuple of 1, for its "
     "slots are ('m',)"),
    (lambda p, g, s: (p, (p[0],)), ("m",), "step gives slot 'm' of shape (8,) for 0.W; expected that of p, (3, 8)"),
]  # fmt: skip


@pytest.mark.parametrize("backend", ["numpy", "torch"])
@pytest.mark.parametrize(("step", "slots", "message"), STEPS)
def test_a_step_that_gives_other_than_p_and_its_slots_is_refused(step, slots, message, backend):
    assert refusal("optimizer", rule(step, slots=slots), backend) == f"optimizer Own: {message}"


@pytest.mark.parametrize("backend", ["numpy", "torch"])
@pytest.mark.parametrize(("which", "name"), [(0, "p"), (1, "g"), (2, "slot 'm'")])
def test_a_step_that_writes_in_what_it_is_given_is_refused(which, name, backend):
    assert refusal("optimizer", in_place(which), backend) == (
        f"optimizer Own: step changes {name} in place, which the history and the way back from a divergence still need; "
        "return a new array, such as p - lr * g for p -= lr * g"
    )


def test_a_step_that_widens_is_refused():
    assert refusal("optimizer", rule(lambda p, g, s: (p - np.sqrt(2.0) * g, ()))) == (
        "optimizer Own: step gives p of dtype float64 for 0.W; expected that of p, float32. Use Python's numbers, "
        "float(np.sqrt(2.0)) for np.sqrt(2.0), or cast: xp.astype(p, g.dtype)"
    )


A_METHOD = "a method (put @property above it)"
RULES = [
    (without_lr(), "lr is missing; expected a number above 0, such as lr = 0.01 in the class"),
    (rule(lr=float("nan")), "lr is nan; expected a number above 0, such as lr = 0.01 in the class"),
    (rule(slots=lambda self: ()), f"slots is {A_METHOD}; expected a tuple of names, such as ('m', 'v'), or ()"),
    (rule(slots="mv"), "slots is 'mv'; expected a tuple of names, such as ('m', 'v'), or ()"),
    (rule(slots=2), "slots is 2; expected a tuple of names, such as ('m', 'v'), or ()"),
    (rule(decay=None), "decay is None; expected a number of at least 0"),
]


@pytest.mark.parametrize(("optimizer", "message"), RULES)
def test_a_rule_without_its_constants_is_refused(optimizer, message):
    assert refusal("optimizer", optimizer) == f"optimizer Own: {message}"
    with pytest.raises(cr.ConfigError) as caught:
        cr.MLPRegressor((4,), solver=optimizer).partial_fit(X, X[:, 0])
    assert str(caught.value) == f"optimizer Own: {message}"


FACTOR = "expected what multiplies lr, a finite number of at least 0"
SCHEDULES = [
    (schedule(None), "warm_up is None; expected epochs, a number of at least 0"),
    (schedule("1"), "warm_up is '1'; expected epochs, a number of at least 0"),
    (schedule(-1), "warm_up is -1; expected epochs, a number of at least 0"),
    (schedule(lambda self: 0.0), f"warm_up is {A_METHOD}; expected epochs, a number of at least 0"),
    (schedule(after=lambda step, n: None), f"after(0, 20, 5) gives None; {FACTOR}"),
    (schedule(after=lambda step, n: "1"), f"after(0, 20, 5) gives '1'; {FACTOR}"),
    (schedule(1, lambda step, n: "1"), f"after(0, 15, 5) gives '1'; {FACTOR}"),
    (schedule(after=lambda step, n: float("nan") if step == n // 2 else 1.0), f"after(10, 20, 5) gives nan; {FACTOR}"),
    (schedule(after=lambda step, n: 1.0 - 2 * (step + 1 == n)), f"after(19, 20, 5) gives -1.0; {FACTOR}"),
]


@pytest.mark.parametrize(("part", "message"), SCHEDULES)
def test_a_schedule_that_gives_no_factor_is_refused(part, message):
    assert refusal("schedule", part) == f"schedule Own: {message}"


def test_a_schedule_with_a_factor_of_its_own_is_asked_for_that():
    part = schedule()
    type(part).factor = lambda self, step, n_steps, per_epoch: None
    assert refusal("schedule", part) == f"schedule Own: factor(0, 20, 5) gives None; {FACTOR}"


def test_a_factor_that_is_found_out_in_training_is_not_blamed_on_the_rate():
    part = schedule(after=lambda step, n: float("nan") if step == 7 else 1.0)
    with pytest.raises(cr.DivergenceError) as caught:
        cr.train(cr.mlp([8]), NUMBERS, schedule=part, training=cr.Training(epochs=4, batch_size=9))
    assert str(caught.value).endswith(
        "the update of 0.W, at step 8 (epoch 1.60, learning rate nan). Mend schedule Own, whose factor makes that rate at "
        "step 7 of 20."
    )


def test_what_keeps_the_contract_trains():
    halved = schedule(after=lambda step, n: np.where(step < n // 2, 1.0, 0.5))  # an array without axes is a number
    optimizer = rule(lambda p, g, s: (p - 0.01 * g, [0.5 * s[0] + g]), slots=["m"])
    run = cr.train(cr.mlp([8]), NUMBERS, optimizer=optimizer, schedule=halved, training=cr.Training(epochs=2))
    assert all(row["update_ratios"][name] > 0 for row in run.history for name in row["update_ratios"])

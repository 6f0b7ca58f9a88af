"""Fifty steps of whole networks: our pullbacks, penalty, clipping, schedule and rules against a PyTorch loop."""

import numpy as np
import pytest
import torch
import torch.nn.functional as F

import chainrule as cr
from chainrule import optim
from chainrule.objective import objective
from gradients import BOTH, NUMPY, relative_error

STEPS, PER_EPOCH, BATCH = 50, 10, 16
# No bias before the batch norm: its gradient is rounding only, which Adam and RMSprop would scale up to steps of 1e-9.
NETWORK = cr.Network(
    (cr.Linear(12, bias=False), cr.BatchNorm(), cr.Tanh(), cr.Dropout(0.3), cr.Residual([cr.LayerNorm(), cr.Linear(12), cr.GELU()]),
     cr.Linear(4)), 6,
)  # fmt: skip
PENALTY = 0.01


def batch(step):
    rng = np.random.default_rng(step)
    x = rng.normal(size=(BATCH, 6))
    return x, np.argmax(x[:, :4] + 0.3 * rng.normal(size=(BATCH, 4)), axis=1), rng.uniform(0.5, 2.0, BATCH)


def ours(on, rule, schedule, *, seed=0, lr=None, penalty=PENALTY, clip=None):
    """Parameters after fifty steps; a tuple of seeds trains a stack."""
    seeds = seed if isinstance(seed, tuple) else (seed,)
    stack = [NETWORK.initial(one) for one in seeds]
    held = {
        name: np.stack([one[name] for one in stack]) if isinstance(seed, tuple) else stack[0][name] for name in stack[0]
    }
    with on.scope():
        held = on.parameters(held)
        slots = optim.init(rule, {name: held[name] for name in NETWORK.trainable}, on.xp)
        lam = on.array(penalty, on.dtype) if isinstance(penalty, np.ndarray) else penalty
        for step in range(STEPS):
            x, y, w = (on.array(a) for a in batch(step))
            context = on.context(training=True, seed=seed, step=step)
            found = objective(NETWORK.layers, held, cr.SoftmaxCrossEntropy(0.1), x, y, w, context, NETWORK.weights, lam)
            gradients = found.gradients
            if clip is not None:
                norm = optim.gradient_norm(gradients, NETWORK.ranks, on.xp)
                gradients = optim.clip_by_norm(gradients, norm, clip, on.xp)
            rate = (rule.lr if lr is None else lr) * schedule.factor(step, STEPS, PER_EPOCH)
            rate = on.array(rate) if isinstance(rate, np.ndarray) else rate
            held, slots = optim.update(rule, held, gradients, slots, rate, step, NETWORK.weights, on.xp)
            held |= found.statistics
    return {name: on.numpy(value) for name, value in held.items()}


class Twin(torch.nn.Module):
    """The same network as its users write it in PyTorch, but for the masks, which are given."""

    def __init__(self):
        super().__init__()
        self.first = torch.nn.Linear(6, 12, bias=False, dtype=torch.float64)
        self.inner, self.last = (torch.nn.Linear(12, n, dtype=torch.float64) for n in (12, 4))
        self.batch = torch.nn.BatchNorm1d(12, dtype=torch.float64)
        self.layer = torch.nn.LayerNorm(12, dtype=torch.float64)
        start = {name: torch.tensor(value) for name, value in NETWORK.initial(0).items()}
        self.first.weight.data = start["0.W"].T.clone()
        for linear, path in ((self.inner, "4.body.1"), (self.last, "5")):
            linear.weight.data, linear.bias.data = start[f"{path}.W"].T.clone(), start[f"{path}.b"]

    def forward(self, x, mask):
        h = torch.tanh(self.batch(self.first(x))) * mask
        return self.last(h + F.gelu(self.inner(self.layer(h))))

    def arrays(self):
        found = {"1.running_mean": self.batch.running_mean, "1.running_variance": self.batch.running_var}
        found["0.W"] = self.first.weight.T
        for linear, path in ((self.inner, "4.body.1"), (self.last, "5")):
            found |= {f"{path}.W": linear.weight.T, f"{path}.b": linear.bias}
        for norm, path in ((self.batch, "1"), (self.layer, "4.body.0")):
            found |= {f"{path}.gamma": norm.weight, f"{path}.beta": norm.bias}
        return {name: value.detach().numpy() for name, value in found.items()}


def theirs(make_rule, make_schedule, every, clip=None):
    twin = Twin()
    weights = [twin.first.weight, twin.inner.weight, twin.last.weight]
    others = [p for p in twin.parameters() if all(p is not w for w in weights)]
    optimizer = make_rule([{"params": weights}, {"params": others, "weight_decay": 0.0}])
    scheduler = make_schedule(optimizer)
    for step in range(STEPS):
        x, y, w = (torch.tensor(a) for a in batch(step))
        context = NUMPY.context(training=True, seed=0, step=step)
        z = twin(x, torch.tensor(context.mask("3", BATCH, 12, 0.3, np.float64)))
        loss = (w * F.cross_entropy(z, y, reduction="none", label_smoothing=0.1)).sum() / w.sum()
        optimizer.zero_grad()
        (loss + PENALTY * sum((p**2).sum() for p in weights)).backward()
        if clip is not None:
            torch.nn.utils.clip_grad_norm_(twin.parameters(), clip)
        optimizer.step()
        if (step + 1) % every == 0:
            scheduler.step()
    return twin.arrays()


L = torch.optim.lr_scheduler
LOOPS = [
    (cr.SGD(0.1, momentum=0.9), cr.Exponential(0.8),
     lambda p: torch.optim.SGD(p, lr=0.1, momentum=0.9), lambda o: L.ExponentialLR(o, 0.8), PER_EPOCH),
    (cr.SGD(0.1, momentum=0.9, nesterov=True), cr.Step(2, 0.1),
     lambda p: torch.optim.SGD(p, lr=0.1, momentum=0.9, nesterov=True), lambda o: L.StepLR(o, 2, 0.1), PER_EPOCH),
    (cr.Adam(0.01), cr.Cosine(), lambda p: torch.optim.Adam(p, lr=0.01), lambda o: L.CosineAnnealingLR(o, STEPS), 1),
    (cr.AdamW(0.01, weight_decay=0.1), cr.OneCycle(),
     lambda p: torch.optim.AdamW(p, lr=0.01, weight_decay=0.1),
     lambda o: L.OneCycleLR(o, 0.01, total_steps=STEPS + 1, cycle_momentum=False), 1),
    (cr.RMSprop(0.01, momentum=0.5), cr.Constant(),
     lambda p: torch.optim.RMSprop(p, lr=0.01, momentum=0.5), lambda o: L.ConstantLR(o, 1.0), 1),
]  # fmt: skip
each_rule = pytest.mark.parametrize("rule", [loop[0] for loop in LOOPS], ids=repr)


@pytest.mark.parametrize(("rule", "schedule", "their_rule", "their_schedule", "every"), LOOPS,
                         ids=[f"{loop[0]!r}, {loop[1]!r}" for loop in LOOPS])  # fmt: skip
@pytest.mark.parametrize("on", BOTH, ids=lambda on: on.name)
def test_fifty_steps_of_a_network_equal_a_pytorch_loop(on, rule, schedule, their_rule, their_schedule, every):
    if isinstance(schedule, cr.OneCycle):  # PyTorch counts the steps of a run, and one more call of step() is refused
        their_schedule = one_cycle
    assert relative_error(ours(on, rule, schedule), theirs(their_rule, their_schedule, every)) < 1e-10


def test_fifty_clipped_steps_equal_a_pytorch_loop_up_to_its_1e_6():
    """PyTorch divides by norm + 1e-6: with norms about 1 each step differs by 1e-6 of itself, and fifty add up."""
    rule, schedule, their_rule, their_schedule, every = LOOPS[0]
    clipped, expected = ours(NUMPY, rule, schedule, clip=0.1), theirs(their_rule, their_schedule, every, clip=0.1)
    assert relative_error(clipped, expected) < 1e-4
    assert relative_error(clipped, ours(NUMPY, rule, schedule)) > 0.01


def one_cycle(optimizer):
    class Once(L.OneCycleLR):
        def step(self, *rest):
            if self.last_epoch < STEPS - 1:
                super().step(*rest)

    return Once(optimizer, 0.01, total_steps=STEPS, cycle_momentum=False)


@each_rule
def test_fifty_steps_of_a_network_are_the_same_on_numpy_and_torch(rule):
    on_numpy, on_torch = (ours(on, rule, cr.Cosine(warm_up=1)) for on in BOTH)
    assert relative_error(on_numpy, on_torch) < 1e-10


@each_rule
@pytest.mark.parametrize("on", BOTH, ids=lambda on: on.name)
def test_fifty_steps_of_stacked_networks_equal_those_of_each_alone(rule, on):
    """Each with its own seed of weights and masks, its own rate, penalty and clipped norm, on the same rows."""
    seeds, rates, penalties = (3, 1, 4), np.array([0.5, 1.0, 2.0]) * rule.lr, np.array([0.0, 0.01, 0.1])
    together = ours(on, rule, cr.Exponential(0.9), seed=seeds, lr=rates, penalty=penalties, clip=0.3)
    for i in range(3):
        own = {"seed": seeds[i], "lr": float(rates[i]), "penalty": float(penalties[i])}
        alone = ours(on, rule, cr.Exponential(0.9), **own, clip=0.3)
        assert relative_error({name: value[i] for name, value in together.items()}, alone) < 1e-10

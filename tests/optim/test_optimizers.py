"""Fifty steps of every rule equal torch.optim's and each other's on NumPy and torch, stacked or alone."""

import numpy as np
import pytest
import torch

import chainrule as cr
from chainrule import optim
from gradients import BOTH, NUMPY, backend

SHAPES = {"0.W": (4, 3), "0.b": (3,), "2.W": (3, 2)}
WEIGHTS = ("0.W", "2.W")

RULES = [
    (cr.SGD(0.05), lambda p: torch.optim.SGD(p, lr=0.05)),
    (cr.SGD(0.05, momentum=0.9), lambda p: torch.optim.SGD(p, lr=0.05, momentum=0.9)),
    (cr.SGD(0.05, momentum=0.9, nesterov=True), lambda p: torch.optim.SGD(p, lr=0.05, momentum=0.9, nesterov=True)),
    (cr.Adam(0.01), lambda p: torch.optim.Adam(p, lr=0.01)),
    (cr.Adam(0.01, beta1=0.5, beta2=0.9, epsilon=1e-3),
     lambda p: torch.optim.Adam(p, lr=0.01, betas=(0.5, 0.9), eps=1e-3)),
    (cr.AdamW(0.01, weight_decay=0.3), lambda p: torch.optim.AdamW(decayed(p, 0.3), lr=0.01)),
    (cr.RMSprop(0.01), lambda p: torch.optim.RMSprop(p, lr=0.01)),
    (cr.RMSprop(0.01, alpha=0.9, momentum=0.8), lambda p: torch.optim.RMSprop(p, lr=0.01, alpha=0.9, momentum=0.8)),
]  # fmt: skip
each_rule = pytest.mark.parametrize(("rule", "theirs"), RULES, ids=[repr(rule) for rule, _ in RULES])


def decayed(parameters, weight_decay):
    """PyTorch decays all it is given; ours decays weight matrices only."""
    return [
        {"params": [p for p in parameters if p.ndim == 2], "weight_decay": weight_decay},
        {"params": [p for p in parameters if p.ndim == 1], "weight_decay": 0.0},
    ]


def start(seed=0):
    rng = np.random.default_rng(seed)
    return {name: rng.normal(size=shape) for name, shape in SHAPES.items()}


def gradient(parameters, step, xp=np):
    """Of a bowl that moves with the step, elementwise, so that stacked and single networks have the same."""
    return {name: p**3 + 0.5 * p - 0.3 * np.cos(step + len(name)) for name, p in parameters.items()}


def fifty(rule, parameters, on, lr=None):
    held = {name: on.array(value) for name, value in parameters.items()}
    slots = optim.init(rule, held, on.xp)
    with on.scope():
        for step in range(50):
            rate = rule.lr if lr is None else lr
            held, slots = optim.update(rule, held, gradient(held, step), slots, rate, step, WEIGHTS, on.xp)
    return {name: on.numpy(value) for name, value in held.items()}


@each_rule
@pytest.mark.parametrize("on", BOTH, ids=lambda on: on.name)
def test_fifty_steps_equal_torch_optims(rule, theirs, on):
    held = {name: torch.tensor(value, requires_grad=True) for name, value in start().items()}
    optimizer = theirs(list(held.values()))
    for step in range(50):
        for p, g in zip(held.values(), gradient({n: p.detach() for n, p in held.items()}, step).values(), strict=True):
            p.grad = g
        optimizer.step()
    for name, value in fifty(rule, start(), on).items():
        np.testing.assert_allclose(value, held[name].detach().numpy(), atol=1e-10, rtol=1e-10)


@each_rule
def test_numpy_and_torch_give_the_same_fifty_steps(rule, theirs):
    ours, other = (fifty(rule, start(), on) for on in BOTH)
    for name in SHAPES:
        np.testing.assert_allclose(ours[name], other[name], atol=1e-10, rtol=0)


@each_rule
def test_stacked_networks_equal_single_ones_each_with_its_own_rate(rule, theirs):
    rates = np.array([0.5, 1.0, 2.0]) * rule.lr
    singles = [start(seed) for seed in range(3)]
    stacked = {name: np.stack([one[name] for one in singles]) for name in SHAPES}
    found = fifty(rule, stacked, NUMPY, rates)
    for i, single in enumerate(singles):
        for name, value in fifty(rule, single, NUMPY, float(rates[i])).items():
            np.testing.assert_allclose(found[name][i], value, rtol=1e-12)


def test_an_update_leaves_what_it_was_given():
    held = start()
    before = {name: value.copy() for name, value in held.items()}
    slots = optim.init(cr.Adam(), held, np)
    optim.update(cr.Adam(), held, gradient(held, 0), slots, 0.1, 0, WEIGHTS, np)
    for name, value in held.items():
        np.testing.assert_array_equal(value, before[name])
        assert all((slot == 0).all() for slot in slots[name])


@pytest.mark.parametrize("limit", [0.1, 1e6])
def test_clipping_equals_torchs_up_to_its_1e_6(limit):
    gradients = start(3)
    ranks = {name: len(shape) for name, shape in SHAPES.items()}
    norm = optim.gradient_norm(gradients, ranks, np)
    ours = optim.clip_by_norm(gradients, norm, limit, np)
    theirs = [torch.tensor(g, requires_grad=True) for g in gradients.values()]
    for p, g in zip(theirs, gradients.values(), strict=True):
        p.grad = torch.tensor(g)
    assert float(norm) == pytest.approx(float(torch.nn.utils.clip_grad_norm_(theirs, limit)))
    for g, p in zip(ours.values(), theirs, strict=True):
        np.testing.assert_allclose(g, p.grad.numpy(), rtol=1e-5)


def test_each_stacked_network_is_clipped_by_its_own_norm():
    singles = [{name: scale * value for name, value in start().items()} for scale in (0.01, 1.0, 100.0)]
    stacked = {name: np.stack([one[name] for one in singles]) for name in SHAPES}
    ranks = {name: len(shape) for name, shape in SHAPES.items()}
    norms = optim.gradient_norm(stacked, ranks, np)
    clipped = optim.clip_by_norm(stacked, norms, 1.0, np)
    for i, single in enumerate(singles):
        norm = optim.gradient_norm(single, ranks, np)
        assert norms[i] == pytest.approx(norm)
        for name, g in optim.clip_by_norm(single, norm, 1.0, np).items():
            np.testing.assert_allclose(clipped[name][i], g)


def test_a_zero_gradient_is_not_divided_by():
    zero = {"0.W": np.zeros((2, 2))}
    norm = optim.gradient_norm(zero, {"0.W": 2}, np)
    np.testing.assert_array_equal(optim.clip_by_norm(zero, norm, 1.0, np)["0.W"], 0)


@pytest.mark.parametrize("lr", [0.1, np.float64(0.1), np.float32(0.1)], ids=lambda lr: type(lr).__name__)
@pytest.mark.parametrize(
    ("name", "precision"), [("numpy", "float32"), ("torch", "float32"), ("torch", "bfloat16"), ("numpy", "float64")]
)
@each_rule
def test_parameters_and_slots_keep_the_dtype_of_the_master(rule, theirs, name, precision, lr):
    """Whatever the dtype of the gradient and the type of the number that scales it."""
    on = backend(name, precision)
    p = {"0.W": on.array(np.ones((3, 4)), on.master)}
    g = {"0.W": on.array(np.ones((3, 4)), on.dtype)}
    clipped = optim.clip_by_norm(g, optim.gradient_norm(g, {"0.W": 2}, on.xp), 0.5, on.xp)
    found, slots = optim.update(rule, p, clipped, optim.init(rule, p, on.xp), lr, 0, WEIGHTS, on.xp)
    assert {found["0.W"].dtype, *(slot.dtype for slot in slots["0.W"])} == {on.master}


@pytest.mark.parametrize("on", BOTH, ids=lambda on: on.name)
def test_parameters_without_a_gradient_pass_unchanged(on):
    held = {name: on.array(value) for name, value in start().items()}
    slots = optim.init(cr.AdamW(), held, on.xp)
    found, _ = optim.update(cr.AdamW(), held, {"0.b": held["0.b"]}, slots, 0.1, 0, WEIGHTS, on.xp)
    assert found["0.W"] is held["0.W"]
    assert not np.array_equal(on.numpy(found["0.b"]), start()["0.b"])


def test_adamw_decays_weight_matrices_only():
    rule, held = cr.AdamW(weight_decay=0.5), {"0.W": np.ones((2, 2)), "0.b": np.ones(2), "1.gamma": np.ones(2)}
    zero = {name: np.zeros_like(value) for name, value in held.items()}
    found, _ = optim.update(rule, held, zero, optim.init(rule, held, np), 0.1, 0, ("0.W",), np)
    np.testing.assert_allclose(found["0.W"], 1 - 0.1 * 0.5)
    np.testing.assert_array_equal(found["0.b"], 1)
    np.testing.assert_array_equal(found["1.gamma"], 1)

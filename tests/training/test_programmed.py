"""Steps as programs: the bits of steps one by one, alone and side by side, through rows, checkpoints and setbacks."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

import chainrule as cr
from chainrule.backends import choice, choose
from chainrule.kernels import library, products
from chainrule.recipes import tabular
from chainrule.runs.seeds import train_seeds
from chainrule.runs.train import train_config
from chainrule.training import loop, population
from chainrule.training.config import DataOptions
from chainrule.training.plan import plan, reseeded
from chainrule.training.population import fit_together
from chainrule.training.programmed import MOST, Programmed, programmable
from chainrule.training.side_by_side import SideBySide
from chainrule.training.step import Stepper, resident, start
from chainrule.training.watch import Watch

RULES = [cr.SGD(0.1), cr.SGD(0.1, momentum=0.9, nesterov=True), cr.Adam(0.01), cr.AdamW(0.01, 0.1), cr.RMSprop(0.01),
         cr.RMSprop(0.01, momentum=0.5)]  # fmt: skip


@pytest.fixture(autouse=True, scope="module")
def built():
    if library(threaded=False) is None:
        pytest.skip("no C compiler here")
    if not (Path(np.__file__).parents[1] / "numpy.libs").is_dir():
        pytest.skip("NumPy is not from its wheel, and has its matrix products from elsewhere")
    assert products() is not None, "the products in NumPy's wheel are called otherwise: no program is written any more"


@pytest.fixture
def compiled(monkeypatch):
    """However short a run is, its kernels are compiled. How many steps were taken in one call, each time."""
    taken, run = [], Programmed.run
    monkeypatch.setattr(choice, "BUILDING", 0.0)
    monkeypatch.setattr(Programmed, "run", lambda self, step, n, *rest, **more: (
        taken.append(n), run(self, step, n, *rest, **more))[1])  # fmt: skip
    return taken


def data(n=203, columns=20, dtype=np.uint8, classes=3):
    """As many numbers to tell where `classes` is negative."""
    rng = np.random.default_rng(0)
    X, names = rng.integers(0, 256, (n, columns)).astype(dtype), tuple("abcdefg"[: abs(classes)])
    if classes < 0:
        return cr.Dataset("made", X, rng.normal(size=(n, -classes)), "regression", names)
    return cr.Dataset("made", X, rng.integers(0, classes, n), "classification", names)


def planned(network, rule=None, here=None, loss=None, schedule=None, threads=1, preprocessing="auto", **options):
    config = cr.Config(optimizer=rule or cr.Adam(0.01), training=cr.Training(**({"batch_size": 16, "iterations": 10**6} | options)), loss=loss,
                       data=DataOptions(preprocessing=preprocessing), schedule=schedule or cr.Constant(), compute=cr.Compute("numpy", threads=threads))  # fmt: skip
    made = plan(config, here or data(), network)
    return replace(made, backend=choose(config.compute, 0.0, 1e9), every=7)


def steps(stepper, p, n, first=0):
    """`n` steps one by one, or as many together as it takes; the sum of the batches' losses."""
    total, step = 0.0, first
    while step < first + n:
        many = stepper.ahead(step, first + n - step) if isinstance(stepper, Programmed) else 0
        if many:
            total, step = stepper.run(step, many, total), step + many
        else:
            total, step = total + loop.shared(stepper(step).loss, p.batches.share(step)), step + 1
    return total


def assert_same_bits(one, other):
    for name, value in one.parameters.items():
        np.testing.assert_array_equal(value, other.parameters[name], err_msg=name)
    for name, held in one.slots.items():
        for a, b in zip(held, other.slots[name], strict=True):
            np.testing.assert_array_equal(a, b, err_msg=name)


def assert_a_program_is_its_steps(p, n=60):
    assert programmable(p)
    with p.backend.scope():
        here, begin = resident(p), start(p)
        one_by_one, program = Stepper(p, here, begin), Programmed(p, here, begin)
        assert steps(one_by_one, p, n) == steps(program, p, n)
        assert program.programs
        assert_same_bits(one_by_one.state, program.state)


@pytest.mark.parametrize("rule", RULES, ids=repr)
@pytest.mark.parametrize("norm", ["batch", None])
def test_every_rule(rule, norm):
    assert_a_program_is_its_steps(planned(cr.mlp([33, 18], norm=norm, dropout=0.3), rule, penalty=0.01))


@settings(max_examples=50, deadline=None)
@given(st.lists(st.integers(1, 70), max_size=3), st.integers(1, 40), st.integers(1, 60),
       st.integers(-3, 7).filter(lambda n: n not in (0, 1)), st.sampled_from([np.uint8, np.float32, np.float64]), st.booleans(),
       st.booleans(), st.integers(0, 99))  # fmt: skip
def test_every_shape(hidden, batch, columns, classes, dtype, replacement, bias, seed):
    here = data(101, columns, dtype, classes)
    layers = [one for n in hidden for one in (cr.Linear(n, bias=bias), cr.ReLU())]
    p = planned(cr.Network((*layers, cr.Linear())), here=here, batch_size=batch, replacement=replacement, seed=seed)
    assert_a_program_is_its_steps(p, 30)


def test_other_options():
    loss, schedule = cr.SoftmaxCrossEntropy(label_smoothing=0.1), cr.Cosine(warm_up=1)
    assert_a_program_is_its_steps(planned(cr.mlp([9], dropout=[0.0]), loss=loss, schedule=schedule, iterations=200))
    first = cr.Network((cr.BatchNorm(), cr.Dropout(0.2), cr.Linear(8), cr.ReLU(), cr.Linear()))
    assert_a_program_is_its_steps(planned(first))


ACTIVATIONS = ["leaky_relu", "tanh", "sigmoid", "gelu", "silu", "selu", "mish", cr.GELU("tanh"), cr.LeakyReLU(0.3)]


@pytest.mark.parametrize("activation", ACTIVATIONS, ids=str)
@pytest.mark.parametrize("norm", ["layer", "batch", None])
def test_every_activation(activation, norm):
    assert_a_program_is_its_steps(planned(cr.mlp([33, 18], activation=activation, norm=norm, dropout=0.1)))


@pytest.mark.parametrize("rule", RULES, ids=repr)
@pytest.mark.parametrize("limit", [1e-3, 1.0, 1e6])
def test_clipping(rule, limit):
    assert_a_program_is_its_steps(planned(cr.mlp([33], norm="batch"), rule, penalty=0.01, clip_norm=limit))


@pytest.mark.parametrize("loss", [cr.SquaredError(), cr.Huber(0.4), cr.Poisson(), cr.SigmoidCrossEntropy()], ids=repr)
@pytest.mark.parametrize("weighted", [False, True])
def test_every_loss_of_numbers(loss, weighted):
    here = data(classes=-3)
    if loss.task == "multilabel":
        here = replace(here, y=(here.y > 0).astype(np.int64), task="multilabel")
    here = replace(here, y=np.abs(here.y).round()) if isinstance(loss, cr.Poisson) else here
    here = replace(here, weight=np.linspace(0, 2, 203)) if weighted else here
    assert_a_program_is_its_steps(planned(cr.mlp([20]), here=here, loss=loss))


@pytest.mark.parametrize("classes", [3, -1, -2])
@pytest.mark.parametrize("hidden", [[], [1], [1, 1], [17, 1], [1, 5], [33, 18]], ids=str)
def test_batches_of_one_row(hidden, classes):
    p = planned(cr.mlp(hidden, activation="tanh"), here=data(classes=classes), batch_size=1, penalty=0.01)
    assert_a_program_is_its_steps(p, 150)


def test_weights_of_classes():
    here = replace(data(), weight=np.linspace(0, 1.5, 203))
    assert_a_program_is_its_steps(planned(cr.mlp([9]), here=here, loss=cr.SoftmaxCrossEntropy(0.1)))


@pytest.mark.parametrize("classes", [3, -1, -2])
@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("embedding", [None, cr.PeriodicEmbedding(), cr.PeriodicEmbedding(5, 2)], ids=str)
def test_members_and_waves(classes, weighted, embedding):
    here = data(classes=classes, dtype=np.float64)
    here = replace(here, weight=np.linspace(0, 2, 203)) if weighted else here
    network = cr.mlp([14, 9], members=3, embedding=embedding, norm="batch", dropout=0.1)
    assert_a_program_is_its_steps(planned(network, here=here, clip_norm=1.0, penalty=0.01))


@pytest.mark.parametrize("embedding", [None, cr.PeriodicEmbedding()], ids=str)
def test_a_table_with_words_and_gaps(embedding):
    rng = np.random.default_rng(0)
    X = np.column_stack([rng.normal(size=(203, 3)), rng.integers(0, 20, 203), rng.integers(0, 12, 203)])
    X[::7, 1] = np.nan
    words = (None, None, None, tuple(map(str, range(20))), tuple(map(str, range(12))))
    here = cr.Dataset(
        "table", X, rng.integers(0, 2, 203), "classification", ("a", "b"), tuple("vwxyz"), categories=words
    )
    assert_a_program_is_its_steps(planned(cr.mlp([14], embedding=embedding, members=2), here=here))
    assert_a_program_is_its_steps(planned(cr.mlp([14], embedding=embedding), here=here, penalty=0.1))


def test_the_recipe_for_tables_is_programs():
    recipe = tabular("regression")
    here = data(columns=5, dtype=np.float64, classes=-1)
    assert_a_program_is_its_steps(planned(recipe["network"], recipe["optimizer"], here, schedule=recipe["schedule"],
                                          preprocessing=recipe["preprocessing"]))  # fmt: skip


def test_waves_after_a_layer():
    layers = (
        cr.Linear(6),
        cr.SmoothClip(1.5),
        cr.PeriodicEmbedding(3, 3),
        cr.MemberLinear(5, 2, spread=True),
        cr.Mish(),
        cr.MemberLinear(None, 2),
    )
    assert_a_program_is_its_steps(planned(cr.Network(layers)))


def test_residual_blocks():
    inner = cr.Residual((cr.Dropout(0.2), cr.Linear(20)))
    block = cr.Residual((cr.BatchNorm(), cr.Linear(12), cr.ReLU(), cr.Dropout(0.1), cr.Linear(20), inner))
    first = cr.Residual((cr.Linear(7), cr.SiLU(), cr.Linear(20)))
    bare = cr.Residual((cr.ReLU(),))
    for layers in ((first, block), (bare, block), (cr.LayerNorm(), inner, bare)):
        assert_a_program_is_its_steps(planned(cr.Network((*layers, cr.Linear())), clip_norm=1.0))


def test_what_is_not_written_goes_one_by_one():
    class Own(cr.Tanh):
        pass

    network = cr.mlp([9])
    assert programmable(planned(network))
    inside = cr.Network((cr.Residual((Own(),)), cr.Linear()))
    others = [planned(cr.mlp([9], activation=Own())), planned(inside),
              planned(network, here=data(dtype=np.int32))]  # fmt: skip
    assert [programmable(p) for p in others] == [False] * len(others)
    p = planned(network)
    assert not programmable(replace(p, backend=choose(cr.Compute("numpy", compiled="never"), 0.0, 1e9)))
    assert not programmable(replace(p, backend=choose(cr.Compute("numpy", precision="float64"), 0.0, 1e9)))


def test_a_call_ends_with_the_epoch_before_a_row_and_after_at_most_so_many_steps():
    p = replace(planned(cr.mlp([9]), batch_size=7), every=50)  # 144 training rows: 20 batches of 7 and one of 4
    with p.backend.scope():
        program = Programmed(p, resident(p), start(p))
    ahead = {step: program.ahead(step, 10**6) for step in (0, 5, 20, 21, 42, 48, 49)}
    assert ahead == {0: 20, 5: 15, 20: 1, 21: 20, 42: 7, 48: 1, 49: 0}
    assert program.ahead(0, 3) == 3
    long = replace(planned(cr.mlp([9]), batch_size=2), every=10**6)
    with long.backend.scope():
        assert Programmed(long, resident(long), start(long)).ahead(0, 10**6) == MOST
    wide = planned(cr.mlp([2000, 2000]), batch_size=14)
    with wide.backend.scope():  # 343 million operations a step
        assert Programmed(wide, resident(wide), start(wide)).ahead(0, 10**6) == 5


def trained(monkeypatch, written, output, n=None, **more):
    if not written:
        monkeypatch.setattr(loop, "programmable", lambda _: False)
        monkeypatch.setattr(population, "programmable", lambda _: False)
    config = cr.Config(training=cr.Training(epochs=3, batch_size=50), compute=cr.Compute("numpy", threads=2),
                       evaluation=cr.Evaluation(every_steps=40, keep="best"), **more)  # fmt: skip
    seen, how = [], {"network": cr.mlp([24], norm="batch", dropout=0.2), "data": cr.read("digits")}
    if n is not None:
        return train_seeds(config, n, output, **how)
    return train_config(config, output, **how, on_step=seen.append), seen


TIMES = ("seconds", "rows_per_second", "epoch_seconds")


def told(run):
    return [{name: value for name, value in row.items() if name not in TIMES} for row in run.history]


def test_a_training_has_the_same_rows_and_model(compiled, monkeypatch, tmp_path):
    distances = {"checkpoint": cr.Checkpoint(every_steps=7, keep=100)}
    one, seen = trained(monkeypatch, True, tmp_path / "one", **distances)
    assert max(compiled) == 7
    compiled.clear()
    other, expected = trained(monkeypatch, False, tmp_path / "other", **distances)
    assert not compiled
    assert told(one) == told(other)
    assert seen == expected
    for name, value in one.model.parameters.items():
        np.testing.assert_array_equal(value, other.model.parameters[name])
    kept = [sorted(path.name for path in (tmp_path / run / "checkpoints").iterdir()) for run in ("one", "other")]
    assert kept[0] == kept[1]
    assert len(kept[0]) > 8


def test_seeds_side_by_side_are_those_stacked_and_those_alone(compiled, monkeypatch, tmp_path):
    beside = trained(monkeypatch, True, tmp_path / "beside", 5)
    assert sum(compiled) > 5 * 50
    alone, _ = trained(monkeypatch, True, tmp_path / "alone")
    compiled.clear()
    stacked = trained(monkeypatch, False, tmp_path / "stacked", 5)
    assert not compiled
    assert told(beside[0]) == told(alone)
    for one, other in zip(beside, stacked, strict=True):
        assert told(one) == told(other)
        for name, value in one.model.parameters.items():
            np.testing.assert_array_equal(value, other.model.parameters[name])


def test_rates_of_their_own_and_a_member_that_leaves(compiled):
    """The second diverges, halves its rate alone and comes to the end that it has by itself."""
    first = planned(cr.mlp([24]), cr.SGD(0.1), iterations=80, threads=2, on_divergence="reduce-lr")
    wild = replace(first.config, optimizer=cr.SGD(40.0), training=replace(first.config.training, penalty=1e-4))
    plans = [first, replace(first, config=wild), reseeded(first, 3)]
    ends = fit_together(plans, [Watch() for _ in plans])
    assert compiled
    assert [len(end.setbacks) > 0 for end in ends] == [False, True, False]
    for p, end in zip(plans, ends, strict=True):
        alone = loop.fit(p)
        assert len(alone.history) == len(end.history)
        assert_same_bits(alone.now.state, end.now.state)


@pytest.mark.parametrize(("network", "limit", "stacks"), [
    (cr.mlp([24], activation="tanh", norm="layer"), None, True),
    (cr.mlp([24]), 0.5, False),
    (cr.mlp([24], members=2), None, False),
    (cr.mlp([24], embedding=cr.PeriodicEmbedding(3)), None, False),
    (cr.Network((cr.Residual((cr.PeriodicEmbedding(3, 2), cr.Linear(20))), cr.Linear())), None, False),
], ids=str)  # fmt: skip
def test_what_is_stacked_has_the_bits_that_it_has_alone(network, limit, stacks):
    first = planned(network, here=data(dtype=np.int32), iterations=20, clip_norm=limit)
    assert not programmable(first)
    assert population.together(first, 2) == stacks
    plans = [first, reseeded(first, 3)]
    if stacks:
        for p, end in zip(plans, fit_together(plans, [Watch() for _ in plans]), strict=True):
            assert_same_bits(loop.fit(p).now.state, end.now.state)


def test_what_fails_beside_is_raised(monkeypatch):
    p = planned(cr.mlp([24]), threads=2)
    with p.backend.scope():
        made = SideBySide([p, reseeded(p, 1)], resident(p), [start(p)] * 2)
    assert made.threads == 2
    monkeypatch.setattr(made.each[1], "_written", lambda batch: [][batch])
    with pytest.raises(IndexError):
        made.run(0, 3, 0.0)


def test_the_backend_is_that_of_programs_only_where_they_are_written(monkeypatch):
    for name in ("_is_amx_tile_supported", "_is_avx512_bf16_supported"):
        monkeypatch.setattr(torch.cpu, name, lambda: False)
    network, options = cr.mlp([1000, 1000]), cr.Training(batch_size=128, iterations=10**6)
    for dtype, name in ((np.float64, "numpy"), (np.int32, "torch")):
        config = cr.Config(training=options, compute=cr.Compute(threads=2, device="cpu"))
        made = plan(config, data(columns=40, dtype=dtype), network)
        assert (made.backend.name, programmable(made)) == (name, name == "numpy")


def test_large_products_are_not_taken_side_by_side():
    for hidden, members, threads in ((24, 1, 2), (2000, 1, 1), (500, 1, 2), (500, 2, 1)):
        p = planned(cr.mlp([hidden], members=members), threads=2)
        with p.backend.scope():
            made = SideBySide([p, reseeded(p, 1)], resident(p), [start(p)] * 2)
        assert made.threads == threads

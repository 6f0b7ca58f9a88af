"""The kernels for CUDA, run by Triton's interpreter on the CPU: they compute what the C does, and steps are the same."""

from dataclasses import replace
from importlib.util import find_spec

import numpy as np
import pytest
import torch

import chainrule as cr
from chainrule import optim
from chainrule.backends import choose
from chainrule.backends.torch_backend import TorchBackend
from chainrule.data import batches
from chainrule.kernels import Update, library, padded
from chainrule.seeds import bits
from chainrule.training.config import DataOptions
from chainrule.training.loop import fit
from chainrule.training.plan import plan, reseeded
from chainrule.training.population import StackedOnGpu, fit_together, together
from chainrule.training.recorded import Recorded, recordable
from chainrule.training.step import Stepper, resident, start
from chainrule.training.watch import Watch

pytestmark = [
    pytest.mark.skipif(not find_spec("triton"), reason="triton is not installed"),
    pytest.mark.filterwarnings("ignore::RuntimeWarning:triton"),
]

RULES = [cr.SGD(0.1), cr.SGD(0.1, momentum=0.9), cr.SGD(0.05, momentum=0.9, nesterov=True), cr.Adam(0.01),
         cr.AdamW(0.01, 0.1), cr.RMSprop(0.01), cr.RMSprop(0.01, momentum=0.5)]  # fmt: skip


def backend():
    return choose(cr.Compute("torch", "cpu", "float32", 1), 0.0, 1e9)


def gpu(on):
    from chainrule.kernels.gpu import GpuKernels

    return GpuKernels(on)


def in_c(on):
    if library(threaded=False) is None:
        pytest.skip("no C compiler here")
    return on.kernels


def same(one, other, tolerance=0.0):
    np.testing.assert_allclose(one.numpy(), other.numpy(), rtol=tolerance, atol=tolerance)


@pytest.mark.parametrize("dtype", [np.uint8, np.float32])
def test_rows_are_prepared_and_moved_as_in_c(dtype):
    on, rng = backend(), np.random.default_rng(0)
    X = on.array(rng.integers(0, 256, (50, 3 * 8 * 6)).astype(dtype))
    shift, scale = (on.array(rng.normal(size=144).astype(np.float32)) for _ in range(2))
    rows = rng.integers(50, size=33)
    moves = cr.Augment(flip=True, shift=2, cutout=3).moves(33, (3, 8, 6), 4, 5)
    same(gpu(on).prepare(X, rows, shift, scale), in_c(on).prepare(X, rows, shift, scale))
    arguments = (X, rows, moves, 3, (3, 8, 6), shift, scale)
    same(gpu(on).prepare_moved(*arguments), in_c(on).prepare_moved(*arguments))
    assert gpu(on).prepare(X, rows, shift.double(), scale) is None


@pytest.mark.parametrize("seed", [7, (7,), (7, 2**40)])
@pytest.mark.parametrize("step", [0, 12, torch.tensor([2**33])])
def test_masks_are_numpys_philox_stream(seed, step):
    on, shape, threshold = backend(), (33, 41), 20_000
    found = gpu(on).mask(seed, "2", step, shape, threshold, 1.5)
    for k, one in enumerate(seed if isinstance(seed, tuple) else (seed,)):
        draws = bits(one, "dropout/2", int(step)).random_raw(-(-33 * 41 // 4)).view(np.uint16)[: 33 * 41]
        expected = np.where(draws >= threshold, np.float32(1.5), 0).reshape(shape)
        np.testing.assert_array_equal((found[k] if isinstance(seed, tuple) else found).numpy(), expected)


@pytest.mark.parametrize("shape", [(33, 41), (2, 200, 16), (1, 3)])
def test_layers_are_those_in_c(shape):
    on, rng = backend(), np.random.default_rng(1)
    x, dy = (on.array(rng.normal(size=shape).astype(np.float32)) for _ in range(2))
    (y, back), (expected, expected_back) = gpu(on).activation(cr.ReLU(), x), in_c(on).activation(cr.ReLU(), x)
    same(y, expected)
    same(back(dy), expected_back(dy))
    widths = (*shape[:-2], shape[-1])
    gamma, beta = (on.array(rng.normal(size=widths).astype(np.float32)) for _ in range(2))
    found, expected = (kernels.batch_norm(x, gamma, beta, 1e-5) for kernels in (gpu(on), in_c(on)))
    for one, other in zip(found[:3] + found.pullback(dy), expected[:3] + expected.pullback(dy), strict=True):
        same(one, other, 2e-5)
    same(gpu(on).sum_rows(x), in_c(on).sum_rows(x), 2e-5)
    assert gpu(on).activation(cr.ReLU(), x.mT) is None or 1 in shape[-2:]


@pytest.mark.parametrize("lead", [(), (3,)])
@pytest.mark.parametrize(("n_in", "n_out"), [(5, 11), (16, 8), (12, 300)])
@pytest.mark.parametrize("bias", [True, False])
def test_a_linear_layer_on_padded_weights_is_that_on_plain_ones(lead, n_in, n_out, bias):
    on, rng = backend(), np.random.default_rng(6)
    x, W, b, dy = (on.array(rng.normal(size=(*lead, *shape)).astype(np.float32))
                   for shape in ((33, n_in), (n_in, n_out), (n_out,), (33, n_out)))  # fmt: skip
    held = {"W": padded.roomy(W)} | ({"b": b} if bias else {})
    y, back = gpu(on).linear(held, x, needed=True)
    same(y, x @ W + (b[..., None, :] if bias else 0.0), 1e-4)
    dx, gradients = back(dy)
    same(dx, dy @ W.mT, 1e-4)
    same(gradients["W"], x.mT @ dy, 1e-4)
    assert list(gradients) == list(held)
    if bias:
        same(gradients["b"], dy.sum(-2), 1e-4)
    for view in (y, dx):
        whole = padded.rows(view)
        assert float(whole.abs().sum()) == pytest.approx(float(view.abs().sum()), rel=1e-5)  # zeros around
    whole = padded.matrix(gradients["W"])
    assert float(whole.abs().sum()) == pytest.approx(float(gradients["W"].abs().sum()), rel=1e-5)
    assert back(dy.double())[0].dtype == torch.float32
    assert gpu(on).linear(held, x, needed=False)[1](dy)[0] is None


def test_a_linear_layer_is_left_to_torch_where_its_weights_have_no_room():
    on = backend()
    x, W = torch.ones(4, 5), torch.ones(5, 3)
    assert gpu(on).linear({"W": W}, x, needed=True) is None
    assert gpu(on).linear({"W": padded.roomy(W)}, x.double(), needed=True) is None
    assert gpu(on).linear({"W": padded.roomy(W[None])}, x, needed=True) is None


def test_layers_on_padded_rows_are_those_on_plain_ones():
    on, rng = backend(), np.random.default_rng(7)
    kernels, shape = gpu(on), (2, 33, 11)
    x, dy = (on.array(rng.normal(size=shape).astype(np.float32)) for _ in range(2))
    gamma, beta = (on.array(rng.normal(size=(2, 11)).astype(np.float32)) for _ in range(2))
    classes = on.array(rng.integers(11, size=(2, 33)))
    room = torch.zeros(2, 33, 16)
    room[..., :11] = x
    view = room[..., :11]

    def all_of(x):
        y, back = kernels.activation(cr.ReLU(), x)
        normed = kernels.batch_norm(x, gamma, beta, 1e-5)
        loss = kernels.loss(cr.SoftmaxCrossEntropy(0.1), x, classes, None)
        return [y, back(dy), *normed[:3], *normed.pullback(dy), *loss, kernels.sum_rows(x)]

    for found, expected in zip(all_of(view), all_of(x), strict=True):
        same(found, expected, 1e-6)
        if found.shape == shape and not found.is_contiguous():
            whole = padded.rows(found)
            assert whole.shape[-1] == 16
            assert not whole[..., 11:].any()


def test_values_are_picked_by_rows():
    values, rows = torch.arange(1_000) * 3, torch.tensor([7, 0, 999, 7] * 50)
    assert torch.equal(gpu(backend()).pick(values, rows), values[rows])


@pytest.mark.parametrize("n_out", [2, 11, 300])
@pytest.mark.parametrize("smoothing", [0.0, 0.1])
def test_the_loss_is_that_in_c(n_out, smoothing):
    on, rng = backend(), np.random.default_rng(2)
    z = on.array((10 * rng.normal(size=(2, 33, n_out))).astype(np.float32))
    classes, loss = on.array(rng.integers(n_out, size=(2, 33))), cr.SoftmaxCrossEntropy(smoothing)
    for one, other in zip(gpu(on).loss(loss, z, classes, None), in_c(on).loss(loss, z, classes, None), strict=True):
        same(one, other, 2e-6)
    assert gpu(on).loss(loss, z, classes, classes.float()) is None


@pytest.mark.parametrize("rule", RULES, ids=repr)
@pytest.mark.parametrize("clip", [None, 0.5])
def test_updates_are_those_in_c(rule, clip):
    on, rng = backend(), np.random.default_rng(3)

    def arrays():
        draw = np.random.default_rng(4)
        values = {"0.W": draw.normal(size=(2, 20, 77)), "0.b": draw.normal(size=(2, 77))}
        held = {name: on.array(value, torch.float32) for name, value in values.items()}
        return held, optim.init(rule, held, on.xp), held

    ours, theirs = arrays(), arrays()
    go, kernels = Update(in_c(on), rule, *theirs, ("0.W",), 2), gpu(on)
    for t in range(3):
        gradients = {name: on.array(rng.normal(size=p.shape), torch.float32) for name, p in ours[0].items()}
        numbers = torch.zeros(4, 2, 4)
        numbers[1] = torch.tensor([kernels.numbers_of(rule, lr, t, 0.1) for lr in (0.01, 0.02)])
        scale = None if clip is None else torch.full((2,), clip)
        kernels.update(rule, gradients, *ours, ("0.W",), numbers, torch.tensor([1]), scale)
        share = clip or 1.0
        go({name: share * g for name, g in gradients.items()}, [0.01, 0.02], t, [share * 0.1] * 2)
    for name in ours[0]:
        same(ours[0][name], theirs[0][name], 1e-6)
        for one, other in zip(ours[1][name], theirs[1][name], strict=True):
            same(one, other, 1e-6)


@pytest.fixture
def recording(monkeypatch):
    """Steps that are 'recorded' on the CPU: a replay does the work again and renews the first result."""
    replays = []

    def record(self, work):
        stepper, tables = (cell.cell_contents for cell in work.__closure__)
        held = [*stepper.state.parameters.values(), *(a for slots in stepper.state.slots.values() for a in slots),
                *stepper.working.values(), tables.counters]  # fmt: skip
        before = [array.clone() for array in held]
        loss, norms = work()
        for array, value in zip(held, before, strict=True):
            array[...] = value

        def replay():
            replays.append(work)
            loss[...] = work()[0]

        return replay, (loss, norms)

    monkeypatch.setattr(TorchBackend, "records", property(lambda self: hasattr(self.kernels, "keys")))
    monkeypatch.setattr(TorchBackend, "record", record)
    return replays


def made(rule, *, network=None, augment=None, n=75, weight=None, **options):
    rng = np.random.default_rng(5)
    X = rng.integers(0, 256, (n, 12)).astype(np.uint8)
    data = cr.Dataset("made", X, rng.integers(0, 3, n), "classification", ("a", "b", "c"), row_shape=(3, 2, 2),
                      weight=weight)  # fmt: skip
    config = cr.Config(optimizer=rule, training=cr.Training(batch_size=16, **options), schedule=cr.Cosine(),
                       data=DataOptions(augment=augment or cr.Augment()),
                       compute=cr.Compute("torch", "cpu", "float32", 1))  # fmt: skip
    decided = plan(config, data, network or cr.mlp([8], norm="batch", dropout=0.3))
    on = backend()
    on.kernels = gpu(on)
    return replace(decided, backend=on)


PLAIN = cr.mlp([8])
BODY = (cr.BatchNorm(), cr.ReLU(), cr.Linear(6), cr.Dropout(0.2), cr.LayerNorm(), cr.GELU(), cr.Linear(7))
SETTINGS = {
    "sgd, batch norm, dropout": (cr.SGD(0.1), {"penalty": 0.01}),
    "adamw, clipped": (cr.AdamW(0.01), {"clip_norm": 0.5, "network": PLAIN}),
    "replacement": (cr.SGD(0.1, momentum=0.9), {"replacement": True, "network": PLAIN}),
    "augmented": (cr.SGD(0.1), {"augment": cr.Augment(flip=True, shift=1, cutout=1, mixup=0.4), "network": PLAIN}),
    "weights": (cr.SGD(0.1), {"weight": np.linspace(1, 2, 75), "network": PLAIN}),
    "residual": (cr.SGD(0.1), {"network": cr.Network((cr.Linear(7), cr.Residual(body=BODY), cr.ReLU(), cr.Linear()))}),
    "members": (cr.SGD(0.1), {"network": cr.mlp([7, 6], members=3, norm="batch", dropout=0.2)}),
    "periodic": (cr.SGD(0.1), {"network": cr.mlp([7], embedding=cr.PeriodicEmbedding(3))}),
    "layer norm": (cr.Adam(0.01), {"network": cr.mlp([8], norm="layer", activation="gelu")}),
}


@pytest.mark.parametrize("setting", SETTINGS)
def test_recorded_steps_are_the_steps_that_are_not(setting, recording):
    rule, options = SETTINGS[setting]
    decided = made(rule, epochs=2, **options)
    assert recordable(decided)
    found = fit(decided)
    assert recording
    plain = replace(decided, backend=choose(cr.Compute("torch", "cpu", "float32", 1, "never"), 0.0))
    assert not recordable(plain)
    expected = fit(plain)
    tolerance = 0.02 if isinstance(rule, (cr.Adam, cr.AdamW)) else 1e-4  # Adam makes whole steps of roundings
    for name, value in expected.now.state.parameters.items():
        np.testing.assert_allclose(
            found.now.state.parameters[name], value, rtol=tolerance, atol=tolerance, err_msg=name
        )
    for one, other in zip(found.history, expected.history, strict=True):
        assert one["batch_loss"] == pytest.approx(other["batch_loss"], rel=1e-2)
        assert one["lr"] == other["lr"]


def test_a_run_that_goes_on_has_the_same_bits(recording):
    decided = made(cr.Adam(0.01), epochs=2, network=cr.mlp([8], dropout=0.3))

    class Keeping(Watch):
        kept = None

        def wants(self, step):
            return step == 2

        def keep(self, progress):
            if progress.now.step == 2:
                copied = progress.now.state.copied(decided.backend.copy)
                here = progress.now._replace(state=copied, batch_losses=progress.now.batch_losses + 0)
                Keeping.kept = replace(progress, now=here, anchor=here)

    whole = fit(decided, watch=Keeping())
    again = fit(decided, lambda _: Keeping.kept)
    for name, value in whole.now.state.parameters.items():
        assert torch.equal(value, again.now.state.parameters[name]), name
    assert [row["batch_loss"] for row in whole.history] == [row["batch_loss"] for row in again.history]


def test_each_epochs_order_is_drawn_once(recording, monkeypatch):
    drawn, stream = [], batches.stream
    monkeypatch.setattr(batches, "stream", lambda *names: (drawn.append(names), stream(*names))[1])
    first = made(cr.SGD(0.1), epochs=5, network=PLAIN)
    fit(first)
    fit_together([first, reseeded(first, 5)], [Watch(), Watch()])
    orders = [names for names in drawn if names[1] == "shuffle" and names[0] == 5]
    assert orders == [(5, "shuffle", epoch) for epoch in range(5)]


def test_what_diverged_leaves_no_trace_around_the_weights(recording):
    first = made(cr.SGD(0.1), epochs=2, network=PLAIN)
    data, begun = resident(first), start(first)
    go = Recorded([first], data, begun)
    expected = [float(go(step).loss) for step in range(6)]
    for W in (go.state.parameters["0.W"], go.working["0.W"]):
        padded.matrix(W)[...] = torch.nan
    assert np.isnan(float(go(6).loss))
    go.begin(begun)
    assert [float(go(step).loss) for step in range(6)] == expected


def test_an_earlier_state_is_left_as_it_was_and_can_be_gone_back_to(recording):
    decided = made(cr.SGD(0.1), epochs=2, network=PLAIN)
    data, begun = resident(decided), start(decided)
    before = {name: value.clone() for name, value in begun.parameters.items()}
    go, kept = Recorded([decided], data, begun), None
    first = []
    for step in range(6):
        done = go(step)
        kept = done if decided.due(step) else kept
        first.append(float(done.loss))
    at_row = {name: value.clone() for name, value in kept.state.parameters.items()}
    assert all(torch.equal(before[name], begun.parameters[name]) for name in before)
    go.begin(begun)
    assert [float(go(step).loss) for step in range(6)] == first
    assert all(torch.equal(at_row[name], kept.state.parameters[name]) for name in at_row)
    go.begin(begun)
    halved = [float(go(step, 0.5).loss) for step in range(6)]
    assert halved[0] == first[0]
    assert halved[1] != first[1]


def test_stacked_networks_are_those_that_are_trained_alone(recording):
    first = made(cr.SGD(0.1, momentum=0.9), epochs=2, penalty=0.01, clip_norm=1.0, network=PLAIN)
    plans = [first, reseeded(first, 5)]
    assert together(first, 2)
    found = fit_together(plans, [Watch() for _ in plans])
    for one, alone in zip(found, map(fit, plans), strict=True):
        for name, value in alone.now.state.parameters.items():
            np.testing.assert_allclose(one.now.state.parameters[name], value, rtol=1e-4, atol=1e-4, err_msg=name)
        for row, expected in zip(one.history, alone.history, strict=True):
            assert list(row) == list(expected)
            told = [
                name for name in row if name not in ("seconds", "rows_per_second", "gradient_norms", "update_ratios")
            ]
            assert {name: row[name] for name in told} == pytest.approx(
                {name: expected[name] for name in told}, rel=1e-3
            )


def test_a_stacked_network_that_diverges_leaves_the_others_alone(recording):
    rng = np.random.default_rng(8)
    data = cr.Dataset("made", rng.normal(size=(80, 6)).astype(np.float32), rng.normal(size=80), "regression", ("t",))
    config = cr.Config(optimizer=cr.SGD(0.05), training=cr.Training(batch_size=16, epochs=2, on_divergence="reduce-lr"),
                       evaluation=cr.Evaluation(metrics=("r2",)), compute=cr.Compute("torch", "cpu", "float32", 1))  # fmt: skip
    on = backend()
    on.kernels = gpu(on)
    good = replace(plan(config, data, cr.mlp([8])), backend=on)
    bad = replace(good, config=replace(config, loss=good.loss, optimizer=cr.SGD(1e30)))
    ended, alone = [], fit(good)

    class Noting(Watch):
        def diverged(self, end):
            ended.append(end)

    with pytest.raises(cr.DivergenceError):
        fit_together([good, bad], [Watch(), Noting()])
    assert len(ended) == 1
    watch = Watch()
    watch.keep = lambda progress: setattr(watch, "last", progress)
    with pytest.raises(cr.DivergenceError):
        fit_together([good, bad], [watch, Watch()])
    assert watch.last.history[-1]["validation_r2"] == pytest.approx(alone.history[-1]["validation_r2"], rel=1e-3)


def test_stacked_networks_with_rates_of_their_own(recording):
    first = made(cr.SGD(0.1), epochs=2, network=PLAIN)
    slow = replace(first, config=replace(first.config, optimizer=cr.SGD(0.01)))
    data, states = resident(first), [start(first), start(slow)]
    go = StackedOnGpu([first, slow], data, states)
    alone = [Stepper(one, data, state) for one, state in zip((first, slow), states, strict=True)]
    for step in range(4):
        losses, _ = go(step)
        for k, stepper in enumerate(alone):
            assert float(losses[k]) == pytest.approx(float(stepper(step).loss), rel=1e-4)


def test_what_the_kernels_do_not_know_is_not_recorded(recording):
    class Own(cr.SGD):
        pass

    decided = made(cr.SGD(0.1), epochs=1)
    assert recordable(decided)
    assert not recordable(replace(decided, config=replace(decided.config, optimizer=Own(0.1))))
    wide = replace(decided.data, X=decided.data.X.astype(float))
    moved = replace(decided.config, data=DataOptions(augment=cr.Augment(flip=True)))
    assert recordable(replace(decided, data=wide, X=wide.X))
    assert not recordable(replace(decided, data=wide, X=wide.X, config=moved))

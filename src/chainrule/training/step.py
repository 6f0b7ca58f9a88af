"""One training step: gather, preprocess, forward, loss, backward, update. Nothing leaves the device."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from chainrule import optim
from chainrule.arrays import Array
from chainrule.backends.world import summed
from chainrule.backprop import Parameters
from chainrule.data import Batches
from chainrule.data.augmentation import mixed
from chainrule.data.streaming import Windows
from chainrule.kernels import Update, takes
from chainrule.network.audit import audit, audit_loss
from chainrule.objective import Objective, objective, with_penalty
from chainrule.seeds import stream
from chainrule.training.evaluate import affine_arrays
from chainrule.training.feed import Feed
from chainrule.training.norms import Norms, norms
from chainrule.training.plan import Plan


class State(NamedTuple):
    """What a step changes: every array of the network, and what the optimiser keeps."""

    parameters: Parameters
    slots: optim.Slots

    def copied(self, copy: Callable[[Array], Array]) -> "State":
        """The same in memory of its own; copy: the backend's."""
        parameters = {name: copy(value) for name, value in self.parameters.items()}
        return State(parameters, {name: tuple(map(copy, held)) for name, held in self.slots.items()})


class Resident(NamedTuple):
    """The rows in memory, on the device, in their own dtype, and the preprocessing.

    feed: of a streamed set, where the training rows come from in their place.
    """

    X: Array
    targets: Array
    weight: Array | None
    shift: Array
    scale: Array
    feed: Feed | None = None


class Draw(NamedTuple):
    """What is drawn for a batch: its rows (batch,) and, where they are augmented, moves (batch, 5), each row's partner
    and the share that it keeps, (batch,). On the host, or on the device.
    """

    rows: Any
    moves: Any = None
    partner: Any = None
    share: Any = None


class Step(NamedTuple):
    """A step done. loss: the batch's. gradients: of the loss alone. norms: where a row of history is due."""

    state: State
    loss: Array
    gradients: Parameters
    norms: Norms | None


def resident(plan: Plan) -> Resident:
    """The data set, moved to the device once."""
    backend, data = plan.backend, plan.data
    weight = None if data.weight is None else backend.array(data.weight, backend.master)
    X = backend.array(plan.X)
    return Resident(X, plan.on_device(data.y), weight, *affine_arrays(plan.preprocessing, X, backend))


@contextmanager
def on_device(plan: Plan) -> Iterator[Resident]:
    """The rows in memory, and the feed of a streamed set while this is open."""
    if plan.scan is None or not isinstance(plan.batches, Windows):
        yield resident(plan)
        return
    with Feed(plan, plan.scan, plan.batches) as feed:
        yield resident(plan)._replace(feed=feed)


def start(plan: Plan) -> State:
    """Initial parameters and zero slots, or those that the plan goes on from; what is a user's own is tried first."""
    backend, seed, given = plan.backend, plan.config.training.seed, plan.start
    parameters = backend.parameters(given.parameters if given else plan.network.initial(seed))
    first = plan.preprocessing.on_device(plan.X[plan.rows.train[:2]].astype(float))
    sample = backend.array(first, backend.dtype)
    context = backend.context(training=True, seed=seed)
    audit(plan.network.layers, backend.working(parameters, plan.network.parameters), sample, context)
    drawn = stream(seed, "audit/loss").normal(size=(len(first), plan.network.n_out))  # of zeros a change might not show
    logits = backend.array(drawn, backend.master)
    audit_loss(plan.loss, logits, plan.on_device(plan.data.y[plan.rows.train[:2]]), backend.xp)
    trainable = {name: parameters[name] for name in plan.network.trainable}
    optim.audit_step(plan.config.optimizer, trainable, backend.xp)
    if given and given.slots is not None:
        slots = {name: tuple(backend.array(array, backend.master) for array in held)
                 for name, held in given.slots.items()}  # fmt: skip
        return State(parameters, slots)
    return State(parameters, optim.init(plan.config.optimizer, trainable, plan.backend.xp))


def placed(plan: Plan, data: Resident, step: int) -> tuple[Resident, Draw]:
    """The rows in which the batch of `step` is, of a window where they are streamed, and what is drawn of them."""
    if isinstance(plan.batches, Batches):
        return data, draw(plan, step, plan.batches.rows(step))
    if data.feed is None:
        raise AssertionError("a streamed set is trained on inside `on_device`")
    window, rows = data.feed.at(step)
    return data._replace(X=window.X, targets=window.targets), draw(plan, step, rows)


def draw(plan: Plan, step: int, rows: NDArray[np.int64]) -> Draw:
    """What this rank's part of a batch of `rows` is made of; with mixup all of it, as partners are any rank's."""
    augment, seed = plan.config.data.augment, plan.config.training.seed
    moves = augment.moves(len(rows), plan.data.row_shape, seed, step) if augment.on_images else None
    if augment.mixup:
        return Draw(rows, moves, *augment.mixture(len(rows), seed, step))
    if plan.world.size == 1:
        return Draw(rows, moves)
    own = plan.world.own(len(rows))
    return Draw(rows[own], None if moves is None else moves[own])


def batch(plan: Plan, data: Resident, drawn: Draw) -> tuple[Array, Array, Array | None]:
    """x (batch, n_in) prepared and augmented, targets and weights: of the rows that are this rank's."""
    backend, augment, rows = plan.backend, plan.config.data.augment, drawn.rows
    if drawn.moves is None:
        x = backend.prepare_rows(data.X, rows, data.shift, data.scale)  # (batch, n_in)
    else:
        x = backend.prepare_moved(data.X, rows, drawn.moves, augment.cutout, plan.data.row_shape, data.shift,
                                  data.scale)  # fmt: skip
    target = backend.gather(data.targets, rows)
    weight = None if data.weight is None else backend.gather(data.weight, rows)
    if drawn.partner is None:
        return x, target, weight
    xp, partner, share = backend.xp, backend.on_device(drawn.partner), backend.on_device(drawn.share)
    if plan.data.task == "classification":
        classes = xp.arange(plan.network.n_out, dtype=target.dtype, device=target.device)
        target = xp.astype(target[:, None] == classes, backend.master)  # (batch, n_out)
    own = plan.world.own(len(rows))
    weight = None if weight is None else mixed(weight, partner, share, xp)[own]
    return mixed(x, partner, share, xp)[own], mixed(target, partner, share, xp)[own], weight


def train_step(plan: Plan, data: Resident, state: State, step: int, lr_scale: float = 1.0) -> Step:
    """The step after `state`, whose arrays stay as they are."""
    backend, network, options = plan.backend, plan.network, plan.config.training
    found = _pass(plan, data, backend.working(state.parameters, network.parameters), step)
    whole, scale = _gradient(plan, found, state.parameters, step)
    parameters, slots = optim.update(
        plan.config.optimizer,
        state.parameters,
        found.gradients,
        state.slots,
        plan.lr(step) * lr_scale,
        plan.updates(step),
        network.weights,
        backend.xp,
        options.penalty,
        scale,
    )
    measured = None
    if plan.due(step):
        before = {name: state.parameters[name] for name in network.weights}
        measured = norms(whole, before, parameters, network.ranks, backend.xp)
    return Step(State(parameters | found.statistics, slots), found.loss, found.gradients, measured)


class Stepper:
    """Steps in place, on a copy of the arrays it starts from, with the same bits as `train_step`."""

    def __init__(self, plan: Plan, data: Resident, state: State) -> None:
        self.plan, self.data, self.state = plan, data, state.copied(plan.backend.copy)
        parameters, slots = self.state
        self.working = plan.backend.working(parameters, plan.network.parameters)
        kernels, network = plan.backend.kernels, plan.network
        bound = (plan.config.optimizer, parameters, slots, self.working, network.weights)
        in_place = kernels and takes(plan.config.optimizer) and not plan.backend.records
        self.update = Update(kernels, *bound) if in_place else None

    def __call__(self, step: int, lr_scale: float = 1.0) -> Step:
        """The next step; the state of an earlier one is overwritten."""
        plan, state = self.plan, self.state
        if self.update is None:
            done = train_step(plan, self.data, state, step, lr_scale)
            self.state = done.state
            return done
        found = _pass(plan, self.data, self.working, step)
        copy, due, options = plan.backend.copy, plan.due(step), plan.config.training
        whole = _penalised(plan, found, state.parameters) if due else {}
        before = {name: copy(state.parameters[name]) for name in plan.network.weights} if due else {}
        self.update(found.gradients, plan.lr(step) * lr_scale, plan.updates(step), options.penalty, options.clip_norm)
        if found.statistics:
            self.working |= found.statistics
            self.state = state = State(state.parameters | found.statistics, state.slots)
        measured = norms(whole, before, state.parameters, plan.network.ranks, plan.backend.xp) if due else None
        return Step(state, found.loss, found.gradients, measured)


def _pass(plan: Plan, data: Resident, working: Parameters, step: int) -> Objective:
    """Forward and back over the batch of `step`; the penalty is left to the update, which reads the weights anyway."""
    backend, part = plan.backend, plan.part(step)
    context = backend.context(training=True, seed=plan.config.training.seed, step=step, part=part)
    found = objective(plan.network.layers, working, plan.loss, *batch(plan, *placed(plan, data, step)), context)
    if part is None:
        return found
    loss, gradients = summed(found.loss, found.gradients, part, backend.xp, backend.master)
    return found._replace(loss=loss, gradients=gradients)


def _gradient(plan: Plan, found: Objective, parameters: Parameters, step: int) -> tuple[Parameters, Array | None]:
    """The objective's gradient, where its norm is needed, and what clipping multiplies it by."""
    limit, xp = plan.config.training.clip_norm, plan.backend.xp
    if limit is None and not plan.due(step):
        return {}, None
    whole = _penalised(plan, found, parameters)
    if limit is None:
        return whole, None
    return whole, optim.clip_scale(optim.gradient_norm(whole, plan.network.ranks, xp), limit, xp)


def _penalised(plan: Plan, found: Objective, parameters: Parameters) -> Parameters:
    """The gradient of the whole objective."""
    return with_penalty(found.gradients, parameters, plan.network.weights, plan.config.training.penalty)

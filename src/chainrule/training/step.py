"""One training step: gather, preprocess, forward, loss, backward, update. Nothing leaves the device."""

from typing import NamedTuple

from chainrule import optim
from chainrule.arrays import Array
from chainrule.backprop import Parameters
from chainrule.kernels import Update, takes
from chainrule.network.audit import audit
from chainrule.objective import Objective, objective, with_penalty
from chainrule.training.evaluate import affine_arrays
from chainrule.training.plan import Plan


class State(NamedTuple):
    """What a step changes: every array of the network, and what the optimiser keeps."""

    parameters: Parameters
    slots: optim.Slots


class Resident(NamedTuple):
    """The data set on the device, in its own dtype, and the preprocessing."""

    X: Array
    targets: Array
    weight: Array | None
    shift: Array
    scale: Array


class Step(NamedTuple):
    """A step done. loss: the batch's. gradients: of the loss alone. norm: of the objective's gradient, where known."""

    state: State
    loss: Array
    gradients: Parameters
    norm: Array | None


def resident(plan: Plan) -> Resident:
    """The data set, moved to the device once."""
    backend, data = plan.backend, plan.data
    targets = backend.array(plan.targets, None if data.task == "classification" else backend.master)
    weight = None if data.weight is None else backend.array(data.weight, backend.master)
    X = backend.array(data.X)
    return Resident(X, targets, weight, *affine_arrays(plan.preprocessing, X, backend))


def start(plan: Plan) -> State:
    """Initial parameters and zero slots, or those that the plan goes on from; a user's own layers are tried first."""
    backend, seed, given = plan.backend, plan.config.training.seed, plan.start
    parameters = backend.parameters(given.parameters if given else plan.network.initial(seed))
    sample = backend.array(plan.preprocessing(plan.data.X[plan.rows.train[:2]].astype(float)), backend.dtype)
    context = backend.context(training=True, seed=seed)
    audit(plan.network.layers, backend.working(parameters, plan.network.parameters), sample, context)
    if given and given.slots is not None:
        slots = {name: tuple(backend.array(array, backend.master) for array in held)
                 for name, held in given.slots.items()}  # fmt: skip
        return State(parameters, slots)
    trainable = {name: parameters[name] for name in plan.network.trainable}
    return State(parameters, optim.init(plan.config.optimizer, trainable, plan.backend.xp))


def batch(plan: Plan, data: Resident, step: int) -> tuple[Array, Array, Array | None]:
    """x (batch, n_in) prepared and augmented, targets and weights of `step`."""
    backend, augment = plan.backend, plan.config.data.augment
    rows = plan.batches.rows(step)
    if augment:
        moved = augment(backend.gather(data.X, rows), plan.data.row_shape, plan.config.training.seed, step, backend)
        x = backend.prepare(moved, data.shift, data.scale)  # (batch, n_in)
    else:
        x = backend.prepare_rows(data.X, rows, data.shift, data.scale)  # (batch, n_in)
    weight = None if data.weight is None else backend.gather(data.weight, rows)
    return x, backend.gather(data.targets, rows), weight


def train_step(plan: Plan, data: Resident, state: State, step: int, lr_scale: float = 1.0) -> Step:
    """The step after `state`, whose arrays stay as they are."""
    backend, network, options = plan.backend, plan.network, plan.config.training
    found = _pass(plan, data, backend.working(state.parameters, network.parameters), step)
    norm, scale = _norm(plan, found, state.parameters, step)
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
    return Step(State(parameters | found.statistics, slots), found.loss, found.gradients, norm)


class Stepper:
    """Steps in place, on a copy of the arrays it starts from, with the same bits as `train_step`."""

    def __init__(self, plan: Plan, data: Resident, state: State) -> None:
        copy = plan.backend.copy
        parameters = {name: copy(value) for name, value in state.parameters.items()}
        slots = {name: tuple(map(copy, held)) for name, held in state.slots.items()}
        self.plan, self.data, self.state = plan, data, State(parameters, slots)
        self.working = plan.backend.working(parameters, plan.network.parameters)
        kernels, network = plan.backend.kernels, plan.network
        bound = (plan.config.optimizer, parameters, slots, self.working, network.weights)
        self.update = Update(kernels, *bound) if kernels and takes(plan.config.optimizer) else None

    def __call__(self, step: int, lr_scale: float = 1.0) -> Step:
        """The next step; the state of an earlier one is overwritten."""
        plan, state = self.plan, self.state
        if self.update is None:
            done = train_step(plan, self.data, state, step, lr_scale)
            self.state = done.state
            return done
        found = _pass(plan, self.data, self.working, step)
        norm, scale = _norm(plan, found, state.parameters, step)
        self.update(found.gradients, plan.lr(step) * lr_scale, plan.updates(step), plan.config.training.penalty,
                    None if scale is None else float(scale))  # fmt: skip
        if found.statistics:
            self.working |= found.statistics
            self.state = state = State(state.parameters | found.statistics, state.slots)
        return Step(state, found.loss, found.gradients, norm)


def _pass(plan: Plan, data: Resident, working: Parameters, step: int) -> Objective:
    """Forward and back over the batch of `step`; the penalty is left to the update, which reads the weights anyway."""
    context = plan.backend.context(training=True, seed=plan.config.training.seed, step=step)
    return objective(plan.network.layers, working, plan.loss, *batch(plan, data, step), context)


def _norm(plan: Plan, found: Objective, parameters: Parameters, step: int) -> tuple[Array | None, Array | None]:
    """The norm of the objective's gradient, where it is asked for, and what clipping multiplies the gradient by."""
    options, network, xp = plan.config.training, plan.network, plan.backend.xp
    if options.clip_norm is None and not plan.due(step):
        return None, None
    whole = with_penalty(found.gradients, parameters, network.weights, options.penalty)
    norm = optim.gradient_norm(whole, network.ranks, xp)
    return norm, None if options.clip_norm is None else optim.clip_scale(norm, options.clip_norm, xp)

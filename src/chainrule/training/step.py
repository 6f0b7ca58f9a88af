"""One training step: gather, preprocess, forward, loss, backward, update. Nothing leaves the device."""

from typing import NamedTuple

from chainrule import optim
from chainrule.arrays import Array
from chainrule.backprop import Parameters
from chainrule.network.audit import audit
from chainrule.objective import objective
from chainrule.training.evaluate import affine_arrays, prepare
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


def resident(plan: Plan) -> Resident:
    """The data set, moved to the device once."""
    backend, data = plan.backend, plan.data
    targets = backend.array(plan.targets, None if data.task == "classification" else backend.master)
    weight = None if data.weight is None else backend.array(data.weight, backend.master)
    X = backend.array(data.X)
    return Resident(X, targets, weight, *affine_arrays(plan.preprocessing, X, backend))


def start(plan: Plan) -> State:
    """Initial parameters and zero slots; a user's own layers are tried first."""
    backend, seed = plan.backend, plan.config.training.seed
    parameters = backend.parameters(plan.network.initial(seed))
    sample = backend.array(plan.preprocessing(plan.data.X[plan.rows.train[:2]].astype(float)), backend.dtype)
    context = backend.context(training=True, seed=seed)
    audit(plan.network.layers, backend.working(parameters, plan.network.parameters), sample, context)
    trainable = {name: parameters[name] for name in plan.network.trainable}
    return State(parameters, optim.init(plan.config.optimizer, trainable, plan.backend.xp))


def batch(plan: Plan, data: Resident, step: int) -> tuple[Array, Array, Array | None]:
    """x (batch, n_in) prepared and augmented, targets and weights of `step`."""
    backend, augment = plan.backend, plan.config.data.augment
    rows = plan.rows.train[plan.batches.rows(step)]
    x = backend.gather(data.X, rows)  # (batch, n_in)
    if augment:
        x = augment(x, plan.data.row_shape, plan.config.training.seed, step, backend)
    weight = None if data.weight is None else backend.gather(data.weight, rows)
    return prepare(x, data.shift, data.scale, backend), backend.gather(data.targets, rows), weight


def train_step(
    plan: Plan, data: Resident, state: State, step: int, lr_scale: float = 1.0
) -> tuple[State, Array, Parameters]:
    """One step: the new state, the batch's loss and the objective's gradients, all on the device."""
    backend, network, options = plan.backend, plan.network, plan.config.training
    x, target, weight = batch(plan, data, step)
    working = backend.working(state.parameters, network.parameters)
    context = backend.context(training=True, seed=options.seed, step=step)
    found = objective(
        network.layers,
        working,
        plan.loss,
        x,
        target,
        weight,
        context,
        network.weights,
        options.penalty,
        state.parameters,
    )
    gradients = found.gradients
    if options.clip_norm is not None:
        norm = optim.gradient_norm(gradients, network.ranks, backend.xp)
        gradients = optim.clip_by_norm(gradients, norm, options.clip_norm, backend.xp)
    parameters, slots = optim.update(
        plan.config.optimizer,
        state.parameters,
        gradients,
        state.slots,
        plan.lr(step) * lr_scale,
        step,
        network.weights,
        backend.xp,
    )
    return State(parameters | found.statistics, slots), found.loss, found.gradients

"""Steps of a plain network on the CPU. They are written down as a program once, and many of them run in one call:
between two of them there is no Python, which in a small network would take longer than their work.
"""

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from chainrule.backends.backend import thresholds
from chainrule.backprop import Layer, Parameters
from chainrule.data import Batches
from chainrule.data.streaming import Windows
from chainrule.kernels import ACTIVATIONS, Program, Rules, Update, activation_of, array, numbers_loss_of
from chainrule.layers import BatchNorm, Dropout, LayerNorm, Linear, Residual
from chainrule.losses import SoftmaxCrossEntropy
from chainrule.seeds import key
from chainrule.training.plan import Plan, is_plain
from chainrule.training.step import Resident, State, Step, Stepper

MOST, LONGEST = 64, 2e9
"""Steps of one call, and their operations, some tens of milliseconds: a signal, or a checkpoint by the clock, waits."""

Floats = NDArray[np.float32]
Back = Callable[[Floats], Floats | None]


def programmable(plan: Plan) -> bool:
    """Whether steps are programs."""
    rows = plan.X.ndim == 2 and plan.X.dtype.type in _PREPARE
    alone = plan.scan is None and plan.world.size == 1
    return plan.backend.programs and rows and alone and is_plain(plan.config, plan.network, plan.data)


class Programmed:
    """Steps in place, on a copy of the arrays they start from, with the same bits as `train_step`."""

    def __init__(self, plan: Plan, data: Resident, state: State) -> None:
        self.plan, self.data = plan, data
        flops = 3 * plan.network.flops_per_row * plan.batches.size
        self.most = max(1, min(MOST, int(LONGEST / flops)))
        self._start(state)

    def _start(self, state: State) -> None:
        self.stepper = Stepper(self.plan, self.data, state)
        self.given: State | None = state
        self.programs: dict[int, Program] = {}
        self.gradients = {
            name: array(*self.stepper.state.parameters[name].shape) for name in self.plan.network.trainable
        }
        roles = self.plan.network.parameters
        self.running = {name: value for name, value in self.stepper.state.parameters.items()
                        if roles[name].role == "running"}  # fmt: skip

    @property
    def state(self) -> State:
        """Where the steps have come to; the next one overwrites it."""
        return self.given or self.stepper.state

    def begin(self, state: State) -> None:
        """Go on from `state`, which nothing has to be done for where it is the one that the last step gave."""
        if state is not self.given:
            self._start(state)

    def ahead(self, step: int, most: int) -> int:
        """How many steps from `step` on, `most` at the most, are alike: of one epoch, and no row of history in them."""
        plan, batches, per_epoch = self.plan, self.plan.batches, self.plan.batches.per_epoch
        left = per_epoch - step % per_epoch
        if left > 1 and batches.size_of(step + left - 1) != batches.size_of(step):
            left -= 1  # the epoch's last batch
        return min(left, plan.before_due(step), most, self.most)

    def rules(self, step: int, n: int, lr_scale: float = 1.0) -> Rules:
        """The numbers of the updates of n steps."""
        plan = self.plan
        lrs = [plan.lr(k) * lr_scale for k in range(step, step + n)]
        return self._update.rules_of(lrs, plan.updates(step), plan.config.training.penalty)

    def run(self, step: int, n: int, losses: Any, lr_scale: float = 1.0, rules: Rules | None = None) -> np.float32:
        """n steps; `losses` and what they add to it, each batch's loss times its share of a full one.

        rules: the numbers of their updates, where they are known.
        """
        batches, self.given = self.plan.batches, None
        size = batches.size_of(step)
        if size not in self.programs:
            self.programs[size] = self._written(size)
        rules = self.rules(step, n, lr_scale) if rules is None else rules
        return self.programs[size].run(rules, _rows(batches, step, n, size), step, batches.share(step), float(losses))

    def __call__(self, step: int, lr_scale: float = 1.0) -> Step:
        """One step by itself. Where a row of history is due its state is a copy that stays."""
        done = self.stepper(step, lr_scale)
        for name, value in self.running.items():  # the programs renew them where they were
            value[...] = done.state.parameters[name]
            self.stepper.state.parameters[name] = self.stepper.working[name] = value
        self.given = self.stepper.state.copied(self.plan.backend.copy) if self.plan.due(step) else None
        return done._replace(state=self.state)

    def _written(self, batch: int) -> Program:
        """The step of a batch of so many rows as a program on the arrays of the state."""
        plan, data = self.plan, self.data
        made = _Writer(plan, self.stepper.state.parameters, self.gradients)
        x = array(batch, data.X.shape[1])
        made.program.add(_PREPARE[data.X.dtype.type], data.X, data.shift, data.scale, x, n=x.shape)
        z, back = made.layers(plan.network.layers, "", x)
        dz, loss = made.loss(z, data.targets, data.weight)
        back(dz)
        made.program.end(self._update, self.gradients, loss, plan.config.training.clip_norm)
        return made.program

    @property
    def _update(self) -> Update:
        if self.stepper.update is None:
            raise AssertionError("programs are for optimisers that the kernels take: `programmable`")
        return self.stepper.update


def _rows(batches: Batches | Windows, step: int, n: int, size: int) -> NDArray[np.int64]:
    """Row numbers of n batches of one epoch, (n, size)."""
    if not isinstance(batches, Batches):
        raise AssertionError("programs are for rows in memory: `programmable`")
    if batches.replacement:
        return np.stack([batches.rows(k) for k in range(step, step + n)])
    epoch, begin, _ = batches.place(step)
    return np.ascontiguousarray(batches.order(epoch)[begin : begin + n * size]).reshape(n, size)


class _Writer:
    """Layers as operations of a program. Each gives y and what writes its pullback, as `Layer.forward` does."""

    def __init__(self, plan: Plan, parameters: Parameters, gradients: Mapping[str, Floats]) -> None:
        self.plan, self.parameters, self.gradients = plan, parameters, gradients
        self.program = Program(plan.backend.kernels)
        self.needed = False  # whether a layer below has parameters, so that dx is asked for

    def layers(self, layers: Sequence[Layer], above: str, x: Floats) -> tuple[Floats, Back]:
        """One after the other; above: the path of the block that they are in, and a dot."""
        backs = []
        for i, layer in enumerate(layers):
            path = f"{above}{i}"
            x, back = _WRITTEN[type(layer)](self, layer, path, x)
            backs.append(back)
            self.needed = self.needed or any(name.startswith(path + ".") for name in self.parameters)

        def all_back(dy: Floats) -> Floats | None:
            dx: Floats | None = dy
            for back in reversed(backs):
                dx = None if dx is None else back(dx)
            return dx

        return x, all_back

    def loss(self, z: Floats, targets: NDArray[Any], weights: NDArray[Any] | None) -> tuple[Floats, Floats]:
        """dz, and where the loss is left, (1,)."""
        program, loss, batch = self.program, self.plan.loss, len(z)
        dz, shares, values, value = array(*z.shape), array(batch), array(batch), array(1)
        weight = None if weights is None else array(batch)
        if weight is not None:
            program.add("numbers", weights, weight, n=(batch, 1))
        if isinstance(loss, SoftmaxCrossEntropy):
            target = array(batch, dtype=np.int64)
            program.add("classes", targets, target, n=(batch,))
            program.add("cross_entropy", z, target, weight, dz, shares, values, value, n=z.shape,
                        numbers=(loss.label_smoothing,))  # fmt: skip
        else:
            kind, number = numbers_loss_of(loss)
            target = array(*z.shape)
            program.add("numbers", targets, target, n=z.shape)
            program.add("numbers_loss", z, target, weight, dz, shares, values, value, n=z.shape, option=kind,
                        numbers=(number,))  # fmt: skip
        return dz, value

    def linear(self, layer: Linear, path: str, x: Floats) -> tuple[Floats, Back]:  # noqa: ARG002
        """y = x W + b; dx = dy Wᵀ, dW = xᵀ dy, db = Σ dy."""
        W, b, program = self.parameters[f"{path}.W"], self.parameters.get(f"{path}.b"), self.program
        y, needed = program.product(x, W), self.needed
        if b is not None:
            program.add("bias", y, b, n=y.shape)

        def back(dy: Floats) -> Floats | None:
            dx = program.product(dy, W, transposed="right") if needed else None  # (batch, n_in)
            program.product(x, dy, transposed="left", out=self.gradients[f"{path}.W"])  # (n_in, n_out)
            if b is not None:
                program.add("sums", dy, self.gradients[f"{path}.b"], n=dy.shape)
            return dx

        return y, back

    def activation(self, layer: Layer, path: str, x: Floats) -> tuple[Floats, Back]:  # noqa: ARG002
        """y = f(x); dx = f'(x) dy."""
        kind, number, by_y = activation_of(layer)
        y, dx, add = array(*x.shape), array(*x.shape), partial(self.program.add, option=kind, numbers=(number,))
        add("activation", x, y, n=(x.size,))
        seen = y if by_y else x

        def back(dy: Floats) -> Floats:
            add("activation_back", seen, dy, dx, n=(x.size,))
            return dx

        return y, back

    def residual(self, layer: Residual, path: str, x: Floats) -> tuple[Floats, Back]:
        """y = x + body(x); dx = dy + the body's."""
        inside, body_back = self.layers(layer.body, f"{path}.body.", x)

        def back(dy: Floats) -> Floats | None:
            dx = body_back(dy)
            return None if dx is None else self._plus(dy, dx)

        return self._plus(x, inside), back

    def _plus(self, a: Floats, b: Floats) -> Floats:
        y = array(*a.shape)
        self.program.add("plus", a, b, y, n=(y.size,))
        return y

    def dropout(self, layer: Dropout, path: str, x: Floats) -> tuple[Floats, Back]:
        """y = m ⊙ x; dx = m ⊙ dy."""
        if layer.rate == 0:
            return x, lambda dy: dy
        threshold, kept = thresholds(layer.rate)
        mask = array(*x.shape)
        words = key(self.plan.config.training.seed, f"dropout/{path}").tolist()
        self.program.add("mask", mask, n=(x.size,), option=threshold, key=words, numbers=(kept,))
        return self._times(mask, x), partial(self._times, mask)

    def _times(self, mask: Floats, x: Floats) -> Floats:
        y = array(*x.shape)
        self.program.add("times", x, mask, y, n=(x.size,))
        return y

    def batch_norm(self, layer: BatchNorm, path: str, x: Floats) -> tuple[Floats, Back]:
        """Batch norm in training, and its running statistics renewed."""
        program, n = self.program, x.shape[0]
        gamma, beta, running_mean, running_variance = (
            self.parameters[f"{path}.{name}"] for name in ("gamma", "beta", "running_mean", "running_variance")
        )
        y, mean, variance, r = array(*x.shape), *(array(x.shape[1]) for _ in range(3))
        program.add("batch_norm", x, gamma, beta, y, mean, variance, r, n=x.shape, numbers=(layer.epsilon,))
        m = layer.momentum
        program.add("running", running_mean, mean, running_variance, variance, n=(x.shape[1],),
                    numbers=(1 - m, m, n / max(n - 1, 1)))  # fmt: skip

        def back(dy: Floats) -> Floats:
            dx, dgamma, dbeta = array(*x.shape), self.gradients[f"{path}.gamma"], self.gradients[f"{path}.beta"]
            program.add("batch_norm_back", x, dy, gamma, mean, r, dx, dgamma, dbeta, n=x.shape)
            return dx

        return y, back

    def layer_norm(self, layer: LayerNorm, path: str, x: Floats) -> tuple[Floats, Back]:
        """Layer norm."""
        program, gamma, beta = self.program, self.parameters[f"{path}.gamma"], self.parameters[f"{path}.beta"]
        y, mean, r = array(*x.shape), array(len(x)), array(len(x))
        program.add("layer_norm", x, gamma, beta, y, mean, r, n=x.shape, numbers=(layer.epsilon,))

        def back(dy: Floats) -> Floats:
            dx, dgamma, dbeta = array(*x.shape), self.gradients[f"{path}.gamma"], self.gradients[f"{path}.beta"]
            program.add("layer_norm_back", x, dy, gamma, mean, r, dx, dgamma, dbeta, n=x.shape)
            return dx

        return y, back


_PREPARE = {np.uint8: "prepare_u8", np.float32: "prepare_f32", np.float64: "prepare_f64"}
"""By the dtype of the rows on the device."""

_WRITTEN: dict[type, Any] = {
    Linear: _Writer.linear,
    Dropout: _Writer.dropout,
    BatchNorm: _Writer.batch_norm,
    LayerNorm: _Writer.layer_norm,
    Residual: _Writer.residual,
    **dict.fromkeys(ACTIVATIONS, _Writer.activation),
}

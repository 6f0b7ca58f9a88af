"""Layers as operations of a program: what `Programmed` runs."""

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from chainrule.backends.backend import thresholds
from chainrule.backprop import Layer, Parameters
from chainrule.kernels import ACTIVATIONS, Program, activation_of, array, numbers_loss_of
from chainrule.layers import BatchNorm, Dropout, Embedding, LayerNorm, Linear, MemberLinear, PeriodicEmbedding, Residual
from chainrule.layers.embedding import DIGIT
from chainrule.losses import SoftmaxCrossEntropy
from chainrule.seeds import key
from chainrule.training.plan import Plan

Floats = NDArray[np.float32]
Back = Callable[[Floats], Floats | None]


class Writer:
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
        program, loss, k = self.program, self.plan.loss, self.plan.network.n_members
        z = z.reshape(len(z) * k, -1)  # (batch · k, n_out)
        batch = len(z)
        dz, shares, values, value = array(*z.shape), array(batch), array(batch), array(1)
        weight = None if weights is None else array(batch)
        if weight is not None:
            program.add("numbers", weights, weight, n=(batch, 1), option=k)
        if isinstance(loss, SoftmaxCrossEntropy):
            target = array(batch, dtype=np.int64)
            program.add("classes", targets, target, n=(batch,), option=k)
            program.add("cross_entropy", z, target, weight, dz, shares, values, value, n=z.shape,
                        numbers=(loss.label_smoothing,))  # fmt: skip
        else:
            kind, number = numbers_loss_of(loss)
            target = array(*z.shape)
            program.add("numbers", targets, target, n=z.shape, option=k)
            program.add("numbers_loss", z, target, weight, dz, shares, values, value, n=z.shape, option=kind,
                        numbers=(number,))  # fmt: skip
        return dz.reshape(batch // k, -1), value  # (batch, k · n_out)

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

    def members(self, layer: MemberLinear, path: str, x: Floats) -> tuple[Floats, Back]:
        """yᵢ = ((xᵢ ⊙ rᵢ) W) ⊙ sᵢ + bᵢ of member i, and back."""
        W, r, s, b = (self.parameters[f"{path}.{name}"] for name in ("W", "r", "s", "b"))
        dW, dr, ds, db = (self.gradients[f"{path}.{name}"] for name in ("W", "r", "s", "b"))
        program, needed, batch, (k, n_in) = self.program, self.needed, len(x), r.shape
        inside, outside = (batch, k, n_in), (batch, k, W.shape[1])
        u, y = array(batch * k, n_in), array(batch, k * W.shape[1])
        program.add("members_in", x, r, u, n=inside, option=int(layer.spread))
        v = program.product(u, W)  # (batch · k, n_out)
        program.add("members_out", v, s, b, y, n=outside)

        def back(dy: Floats) -> Floats | None:
            dv, dx = array(*v.shape), array(*x.shape) if needed else None
            program.add("members_out_back", v, dy, s, dv, ds, db, n=outside)
            du = program.product(dv, W, transposed="right")  # (batch · k, n_in)
            program.add("members_in_back", x, du, r, dx, dr, n=inside, option=int(layer.spread))
            program.product(u, dv, transposed="left", out=dW)  # (n_in, n_out)
            return dx

        return y, back

    def waves(self, layer: PeriodicEmbedding, path: str, x: Floats) -> tuple[Floats, Back]:
        """Each feature and mixtures of its waves, and back."""
        nu, phi, W, b = (self.parameters[f"{path}.{name}"] for name in ("nu", "phi", "W", "b"))
        gradients = [self.gradients[f"{path}.{name}"] for name in ("nu", "phi", "W", "b")]
        program, needed, n = self.program, self.needed, (*x.shape, layer.frequencies, layer.width)
        cosine, sine = (array(*x.shape, layer.frequencies) for _ in range(2))
        y = array(len(x), x.shape[1] * layer.width)
        program.add("waves", x, nu, phi, W, b, cosine, sine, y, n=n)

        def back(dy: Floats) -> Floats | None:
            dx = array(*x.shape) if needed else None
            parts = array(x.shape[1], layer.frequencies * (layer.width + 1) + layer.width - 1)
            program.add("waves_back", x, dy, nu, W, cosine, sine, parts, dx, *gradients, n=n)
            return dx

        return y, back

    def embedding(self, layer: Embedding, path: str, x: Floats) -> tuple[Floats, Back]:
        """The plain columns, and rows of E."""
        E, dE = self.parameters[f"{path}.E"], self.gradients[f"{path}.E"]
        k, plain = len(layer.sizes), layer.n_plain(x.shape[1])
        program, needed, n = self.program, self.needed, (len(x), plain, k, layer.width)
        picked, y = array(len(x), k, dtype=np.int64), array(len(x), plain + k * layer.width)
        program.add("embedding", x, np.array(layer.sizes), E, picked, y, n=n, option=DIGIT)

        def back(dy: Floats) -> Floats | None:
            dx = array(*x.shape) if needed else None
            sums = array(*E.shape, dtype=np.float64)
            program.add("embedding_back", picked, dy, dx, sums, dE, n=n, option=len(E))
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


_WRITTEN: dict[type, Any] = {
    Linear: Writer.linear,
    Dropout: Writer.dropout,
    BatchNorm: Writer.batch_norm,
    LayerNorm: Writer.layer_norm,
    Residual: Writer.residual,
    MemberLinear: Writer.members,
    PeriodicEmbedding: Writer.waves,
    Embedding: Writer.embedding,
    **dict.fromkeys(ACTIVATIONS, Writer.activation),
}

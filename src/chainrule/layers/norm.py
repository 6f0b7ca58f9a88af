"""Batch and layer normalisation: the same standardisation x̂ = (x - μ)/√(σ² + ε), over rows or over features."""

from collections.abc import Callable
from dataclasses import field
from typing import Annotated, Any, Literal

from pydantic import Field

from chainrule.arrays import Array, like, sum_to, wide
from chainrule.backprop import Context, Layer, Parameter, Parameters, Part
from chainrule.spec import spec


def standardise(
    x: Array, axis: int, epsilon: float, xp: Any, part: Part | None = None
) -> tuple[Array, Array, Array, Callable[[Array], Array]]:
    """x̂ = (x - μ)·r with r = 1/√(σ² + ε), μ and σ² the mean and (biased) variance over `axis`.

    Pullback: dx = r (dx̂ - mean(dx̂) - x̂ mean(dx̂ ⊙ x̂)), the two means being what flows through μ and σ².
    Returns x̂, μ, σ², pullback; μ and σ² keep the axis with length 1. part: the axis goes on at other ranks, and all
    means are over the whole of it.
    """

    def average(values: Array) -> Array:
        return xp.mean(values, axis=axis, keepdims=True) if part is None else part.mean(values, xp)

    mean = average(x)
    centred = x - mean
    variance = average(centred * centred)
    r = 1 / xp.sqrt(variance + epsilon)
    x_hat = centred * r

    def pullback(dx_hat: Array) -> Array:
        through_mean = average(dx_hat)
        through_variance = average(dx_hat * x_hat)
        return r * (dx_hat - through_mean - x_hat * through_variance)

    return x_hat, mean, variance, pullback


def _scale_and_shift(
    x: Array, x_hat: Array, standardise_pullback: Callable[[Array], Array], parameters: Parameters, xp: Any
) -> Any:
    """y = γ x̂ + β in the dtype of x; dγ = Σ_batch dy ⊙ x̂, dβ = Σ_batch dy, dx̂ = γ dy."""
    gamma, beta = parameters["gamma"], parameters["beta"]
    y = like(gamma[..., None, :] * x_hat + beta[..., None, :], x, xp)  # (..., batch, n)

    def pullback(dy: Array) -> tuple[Array, Parameters]:
        dy_wide = wide(dy, xp)
        gradients = {
            "gamma": sum_to(xp.sum(dy_wide * x_hat, axis=-2), gamma.shape, xp),  # (..., n)
            "beta": sum_to(xp.sum(dy_wide, axis=-2), beta.shape, xp),  # (..., n)
        }
        dx = standardise_pullback(dy_wide * gamma[..., None, :])
        return like(sum_to(dx, x.shape, xp), x, xp), gradients

    return y, pullback


def _named(pullback: Callable[[Array], tuple[Array, Array, Array]]) -> Callable[[Array], tuple[Array, Parameters]]:
    def named(dy: Array) -> tuple[Array, Parameters]:
        dx, dgamma, dbeta = pullback(dy)
        return dx, {"gamma": dgamma, "beta": dbeta}

    return named


def _norm_parameters(n: int) -> dict[str, Parameter]:
    return {"gamma": Parameter((n,), "norm", 1.0), "beta": Parameter((n,), "norm", 0.0)}


@spec
class BatchNorm(Layer):
    """y = γ x̂ + β, x̂ standardised over the rows of the batch in training, by running statistics in evaluation.

    Pullback in training: see `standardise`; in evaluation x̂ is affine in x and dx = dy γ/√(σ² + ε).
    Running statistics: r ← (1 - momentum) r + momentum·batch value, the variance unbiased, n/(n-1), as in PyTorch.
    A batch of one row standardises to 0, so y = β; PyTorch refuses it. (Ioffe & Szegedy 2015)

    >>> {name: (one.shape, one.role) for name, one in BatchNorm().parameters(8).items()}["gamma"]
    ((8,), 'norm')
    """

    momentum: Annotated[float, Field(gt=0, le=1)] = 0.1
    epsilon: Annotated[float, Field(gt=0)] = 1e-5
    kind: Literal["batch_norm"] = field(default="batch_norm", kw_only=True, repr=False)

    def parameters(self, n_in: int) -> dict[str, Parameter]:
        """gamma, beta, running_mean, running_variance, each (n_in,)."""
        running = {
            "running_mean": Parameter((n_in,), "running", 0.0),
            "running_variance": Parameter((n_in,), "running", 1.0),
        }
        return _norm_parameters(n_in) | running

    def flops(self, n_in: int) -> int:
        """About eight a feature."""
        return 8 * n_in

    def forward(self, parameters: Parameters, x: Array, context: Context) -> Any:
        """y (..., batch, n), its pullback and, in training, the renewed running statistics, each (..., n)."""
        xp = context.xp
        if not context.training:
            running_mean, running_variance = parameters["running_mean"], parameters["running_variance"]
            r = 1 / xp.sqrt(running_variance[..., None, :] + self.epsilon)  # (..., 1, n)
            x_hat = (wide(x, xp) - running_mean[..., None, :]) * r
            return _scale_and_shift(x, x_hat, lambda dx_hat: dx_hat * r, parameters, xp)
        part = context.part
        kernels = context.kernels if part is None else None
        made = kernels and kernels.batch_norm(x, parameters["gamma"], parameters["beta"], self.epsilon)
        if made:
            return made.y, _named(made.pullback), self._renewed(parameters, made.mean, made.variance, x.shape[-2])
        x_hat, mean, variance, back = standardise(wide(x, xp), -2, self.epsilon, xp, part)
        n = part.n if part else x.shape[-2]
        statistics = self._renewed(parameters, mean[..., 0, :], variance[..., 0, :], n)
        return *_scale_and_shift(x, x_hat, back, parameters, xp), statistics

    def _renewed(self, parameters: Parameters, mean: Array, variance: Array, n: int) -> Parameters:
        """The running statistics after a batch of n rows with this mean and biased variance, each (..., n_in)."""
        m, unbiased = self.momentum, n / max(n - 1, 1)
        return {
            "running_mean": (1 - m) * parameters["running_mean"] + m * mean,
            "running_variance": (1 - m) * parameters["running_variance"] + m * (variance * unbiased),
        }


@spec
class LayerNorm(Layer):
    """y = γ x̂ + β, x̂ standardised over the features of each row, the same in training and evaluation (Ba 2016).

    Pullback: see `standardise`; dγ = Σ_batch dy ⊙ x̂, dβ = Σ_batch dy.

    >>> {name: one.shape for name, one in LayerNorm().parameters(8).items()}
    {'gamma': (8,), 'beta': (8,)}
    """

    epsilon: Annotated[float, Field(gt=0)] = 1e-5
    kind: Literal["layer_norm"] = field(default="layer_norm", kw_only=True, repr=False)

    def parameters(self, n_in: int) -> dict[str, Parameter]:
        """gamma and beta, each (n_in,)."""
        return _norm_parameters(n_in)

    def flops(self, n_in: int) -> int:
        """About eight a feature."""
        return 8 * n_in

    def forward(self, parameters: Parameters, x: Array, context: Context) -> Any:
        """y, of the shape of x (..., batch, n), and its pullback."""
        kernels = context.kernels
        made = kernels and kernels.layer_norm(x, parameters["gamma"], parameters["beta"], self.epsilon)
        if made:
            y, pullback = made
            return y, _named(pullback)
        x_hat, _, _, back = standardise(wide(x, context.xp), -1, self.epsilon, context.xp)
        return _scale_and_shift(x, x_hat, back, parameters, context.xp)

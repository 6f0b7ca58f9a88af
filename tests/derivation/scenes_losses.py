"""The losses, each alone."""

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import sympy as sp

import chainrule as cr
from chainrule.losses import Loss
from derivation.setting import Arrays, Setting, matrix, one_hot, symbol

N, K = 2, 3
RANGES = {"i": N, "k": K, "j": K}


def base() -> dict[str, Any]:
    """Logits of two samples and three outputs."""
    return {"Z": matrix("Z", N, K), "N": sp.Integer(N), "K": sp.Integer(K)}


def rows(loss: Loss, at: Mapping[str, Any], target: Any) -> Arrays:
    """Losses of the samples, and their slopes."""
    values, slopes = loss.rows(at["Z"], target, np)
    return {"l": values, "∂l/∂Z": slopes}


def elementwise(build: Callable[[Mapping[str, Any]], Loss], scale: int = 1, **more: Any) -> Setting:
    """A loss of logits z and targets t."""
    return Setting(
        base() | {"T": matrix("T", N, K)} | more, RANGES, lambda at: rows(build(at), at, at["T"]), scale=scale
    )


def label_smoothing() -> Setting:
    """Targets whose rows sum to 1: the last is what the others leave."""
    t = matrix("T", N, K - 1)
    T = t.row_join(sp.ones(N, 1) - t * sp.ones(K - 1, 1))

    def code(at: Mapping[str, Any]) -> Arrays:
        loss = cr.SoftmaxCrossEntropy(at[r"\epsilon"])
        return rows(loss, at, at["T"]) | {"q": loss._probabilities(at["Z"], at["T"], np)}

    return Setting(base() | {"T": T, r"\epsilon": symbol("epsilon", positive=True)}, RANGES, code)


def sample_weights() -> Setting:
    """A weight for each sample."""
    y = [3, 1]
    more = {"y": sp.Matrix(N, 1, y), r"\Delta": one_hot(y, K), "w": matrix("w", 1, N, positive=True)}

    def code(at: Mapping[str, Any]) -> Arrays:
        loss, target = cr.SoftmaxCrossEntropy(), np.array(y) - 1
        value, slopes = loss(at["Z"], target, at["w"][0], np)
        return rows(loss, at, target) | {"L": value, "∂L/∂Z": slopes}

    return Setting(base() | more, RANGES, code)


def huber() -> Setting:
    """With its width, and a difference d."""
    more = {r"\delta": symbol("delta", positive=True), "d": symbol("d")}
    return elementwise(lambda at: cr.Huber(at[r"\delta"]), **more)


def poisson() -> Setting:
    """Logits large enough to be on both sides of 50."""
    return elementwise(lambda at: cr.Poisson(), scale=40, u=sp.Integer(50))

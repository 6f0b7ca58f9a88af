"""The layers, each alone."""

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import sympy as sp

import chainrule as cr
from derivation.setting import Arrays, Setting, context, matrix, one_hot, symbol


def activation(build: Callable[..., cr.Layer], *, slope: bool = False, **constants: str) -> Setting:
    """A function of one number. slope: it has a parameter s."""
    base = {"x": symbol("x")} | {name: sp.Rational(value) for name, value in constants.items()}
    base |= {"s": symbol("s", positive=True)} if slope else {}

    def code(at: Mapping[str, Any]) -> Arrays:
        layer = build(at["s"]) if slope else build()
        y, pullback = layer.forward({}, np.array([[at["x"]]]), context())
        return {"f": y, "f'": pullback(np.ones((1, 1)))[0]}

    return Setting(base, {}, code)


def sigmoid() -> Setting:
    """The activation whose function has a name of its own."""
    built = activation(cr.Sigmoid)

    def code(at: Mapping[str, Any]) -> Arrays:
        arrays = built.code(at)
        return {r"\sigma": arrays["f"], r"\sigma'": arrays["f'"]}

    return built._replace(code=code)


def selu() -> Setting:
    """With its two constants, to the digits that the paper gives."""
    return activation(
        cr.SELU, **{r"\lambda": "1.0507009873554804934193349852946", r"\alpha": "1.6732632423543772848170429916717"}
    )


N, K = 3, 2


def norm_base() -> dict[str, Any]:
    """Rows, upstream gradients, scale and shift."""
    return {
        "X": matrix("X", N, K), "C": matrix("C", N, K), r"\gamma": matrix("gamma", 1, K), r"\beta": matrix("beta", 1, K),
        r"\epsilon": symbol("epsilon", positive=True), "N": sp.Integer(N), "K": sp.Integer(K),
    }  # fmt: skip


def norm_arrays(result: tuple[Any, ...], at: Mapping[str, Any]) -> Arrays:
    """What every norm has."""
    y, pullback, *_ = result
    dx, gradients = pullback(at["C"])
    return {"y": y, "J": np.sum(at["C"] * y), "∂J/∂X": dx} | {
        rf"∂J/∂\{name}": gradients[name] for name in ("gamma", "beta")
    }


def affine(at: Mapping[str, Any]) -> Arrays:
    """gamma and beta as the code has them."""
    return {"gamma": at[r"\gamma"][0], "beta": at[r"\beta"][0]}


def batch_norm() -> Setting:
    """In training, with running statistics to renew by momentum rho."""
    base = norm_base() | {
        r"\bar{\mu}": matrix("mean", 1, K), r"\bar{v}": matrix("variance", 1, K, positive=True),
        r"\rho": symbol("rho", positive=True),
    }  # fmt: skip

    def code(at: Mapping[str, Any]) -> Arrays:
        running = {"running_mean": at[r"\bar{\mu}"][0], "running_variance": at[r"\bar{v}"][0]}
        layer = cr.BatchNorm(at[r"\rho"], at[r"\epsilon"])
        result = layer.forward(affine(at) | running, at["X"], context())
        renewed = {r"\bar{\mu}'": result[2]["running_mean"], r"\bar{v}'": result[2]["running_variance"]}
        return norm_arrays(result, at) | renewed

    return Setting(base, {"i": N, "k": K}, code)


def batch_norm_evaluation() -> Setting:
    """With running statistics that are constants."""
    base = norm_base() | {r"\bar{\mu}": matrix("mean", 1, K), r"\bar{v}": matrix("variance", 1, K, positive=True)}

    def code(at: Mapping[str, Any]) -> Arrays:
        running = {"running_mean": at[r"\bar{\mu}"][0], "running_variance": at[r"\bar{v}"][0]}
        layer = cr.BatchNorm(epsilon=at[r"\epsilon"])
        return norm_arrays(layer.forward(affine(at) | running, at["X"], context(training=False)), at)

    return Setting(base, {"i": N, "k": K}, code)


def layer_norm() -> Setting:
    """Over the features of a row."""

    def code(at: Mapping[str, Any]) -> Arrays:
        return norm_arrays(cr.LayerNorm(at[r"\epsilon"]).forward(affine(at), at["X"], context()), at)

    return Setting(norm_base(), {"i": N, "k": K, "j": K}, code)


def dropout() -> Setting:
    """The mask is given: any matrix."""
    base = {
        "X": matrix("X", N, K), "C": matrix("C", N, K), "M": matrix("M", N, K), "p": symbol("p", positive=True),
    }  # fmt: skip

    def code(at: Mapping[str, Any]) -> Arrays:
        given = context()._replace(mask=lambda path, rows, n, rate, dtype: at["M"])
        y, pullback = cr.Dropout(at["p"]).forward({}, at["X"], given)
        return {"Y": y, "J": np.sum(at["C"] * y), "∂J/∂X": pullback(at["C"])[0]}

    return Setting(base, {"i": N, "k": K}, code)


def embedding() -> Setting:
    """A column of three categories over three rows: the first one, the last one, and one that was never seen."""
    codes = [1, 3, 0]
    base = {"D": one_hot(codes, 3), "C": matrix("C", 3, K), "E": matrix("E", 3, K)}

    def code(at: Mapping[str, Any]) -> Arrays:
        x = np.array([[0.0, code] for code in codes])
        y, pullback = cr.Embedding((3,), K).forward({"E": at["E"]}, x, context())
        return {"Y": y, "J": np.sum(at["C"] * y), "∂J/∂E": pullback(at["C"])[1]["E"]}

    return Setting(base, {"i": 3, "k": K}, code)


def residual() -> Setting:
    """Around a linear layer and a tanh."""
    base = {
        "X": matrix("X", N, K), "C": matrix("C", N, K), "W": matrix("W", K, K), "b": matrix("b", 1, K),
        r"\mathbf{1}": sp.ones(N, 1),
    }  # fmt: skip

    def code(at: Mapping[str, Any]) -> Arrays:
        held = {"body.0.W": at["W"], "body.0.b": at["b"][0]}
        y, pullback, _ = cr.Residual((cr.Linear(K), cr.Tanh())).forward(held, at["X"], context())
        dx, gradients = pullback(at["C"])
        return {"Y": y, "J": np.sum(at["C"] * y), "∂J/∂X": dx, "∂J/∂W": gradients["body.0.W"]}

    return Setting(base, {"i": N, "k": K, "j": K}, code)


def members() -> Setting:
    """Two members that are given the same rows."""
    own = {f"{name}^{{({i})}}": matrix(f"{name}{i}", 1, K) for i in (1, 2) for name in ("r", "s", "b")}
    base = {"X": matrix("X", N, K), "C": matrix("C", N, K), "D": matrix("D", N, K), "W": matrix("W", K, K)} | own
    base |= {r"\mathbf{1}": sp.ones(N, 1)}

    def code(at: Mapping[str, Any]) -> Arrays:
        held = {"W": at["W"]} | {n: np.concatenate([at[f"{n}^{{({i})}}"] for i in (1, 2)]) for n in ("r", "s", "b")}
        y, pullback = cr.MemberLinear(K, 2, spread=True).forward(held, at["X"], context())  # (N, 2 K)
        dx, gradients = pullback(np.concatenate([at["C"], at["D"]], axis=1))
        found = {"Y^{(1)}": y[:, :K], "Y^{(2)}": y[:, K:], "J": np.sum(at["C"] * y[:, :K] + at["D"] * y[:, K:])}
        found |= {"∂J/∂X": dx, "∂J/∂W": gradients["W"]}
        return found | {f"∂J/∂{n}^{{(1)}}": gradients[n][0] for n in ("r", "s", "b")}

    return Setting(base, {"i": N, "k": K}, code)


def smooth_clip() -> Setting:
    """With the limit c = 3."""
    return activation(cr.SmoothClip, c="3")


def periodic_embedding() -> Setting:
    """One feature, two waves, two numbers beside the feature itself."""
    M, D = 2, 2
    base = {
        "x": matrix("x", N, 1), "c": matrix("c", N, 1), "D": matrix("D", N, D), r"\nu": matrix("nu", 1, M),
        r"\varphi": matrix("phi", 1, M), "W": matrix("W", M, D), "b": matrix("b", 1, D), r"\mathbf{1}": sp.ones(N, 1),
    }  # fmt: skip

    def code(at: Mapping[str, Any]) -> Arrays:
        held = {"nu": at[r"\nu"], "phi": at[r"\varphi"], "W": at["W"][None], "b": at["b"]}
        y, pullback = cr.PeriodicEmbedding(M, D + 1).forward(held, at["x"], context())  # (N, 1 + D)
        dx, gradients = pullback(np.concatenate([at["c"], at["D"]], axis=1))
        found = {"E": y[:, 1:], "J": np.sum(at["c"] * y[:, :1]) + np.sum(at["D"] * y[:, 1:]), "∂J/∂x": dx}
        found |= {r"∂J/∂\nu": gradients["nu"], r"∂J/∂\varphi": gradients["phi"]}
        return found | {"∂J/∂W": gradients["W"][0], "∂J/∂b": gradients["b"]}

    return Setting(base, {"i": N, "k": D}, code)

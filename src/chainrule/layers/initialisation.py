"""Initial weights: drawn in float64 on the host, so every backend starts from the same numbers."""

from typing import Annotated, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from chainrule.errors import ConfigError
from chainrule.spec import Form, spec

Kind = Literal["he", "glorot", "lecun", "orthogonal", "normal", "zeros"]


@spec
class Init:
    """How the weights W (n_in, n_out) of a linear layer start.

    he: variance 2/n_in (He 2015, for ReLU and its kin). glorot: 2/(n_in + n_out) (Glorot 2010, for tanh and sigmoid).
    lecun: 1/n_in (LeCun 1998, for SELU). orthogonal: W has orthonormal rows or columns (Saxe 2014). normal: N(0, std²),
    the report's choice with 1e-4 and 1e-3. zeros: all 0.

    distribution: "normal" or "uniform" on ±√(3·variance), for the three variance-scaling kinds.
    std: the standard deviation, for kind "normal" only.

    PyTorch's own default for a linear layer, variance 1/(3 n_in), is none of these.

    >>> from chainrule import Linear
    >>> Linear(350, init=Init("normal", std=1e-4)).init
    Init(kind='normal', distribution='normal', std=0.0001)
    """

    kind: Kind
    distribution: Literal["normal", "uniform"] = "normal"
    std: Annotated[float, Field(gt=0, allow_inf_nan=False)] | None = None

    def __post_init__(self) -> None:
        """Refuse options that would do nothing."""
        if (self.std is None) == (self.kind == "normal"):
            raise ConfigError(
                f"init kind {self.kind!r} with std {self.std!r}: kind 'normal' needs a std (the report used 1e-4), "
                "the other kinds find their own"
            )
        if self.distribution == "uniform" and self.kind not in ("he", "glorot", "lecun"):
            raise ConfigError(f"init kind {self.kind!r} has no uniform form; he, glorot and lecun have")


InitOption = Annotated[Annotated[Kind, Form.TEXT] | Annotated[Init, Form.TABLE], Form.BY]
"""An `Init`, or the name of its kind where nothing else is needed."""


def draw(init: Init | Kind, shape: tuple[int, ...], rng: np.random.Generator) -> NDArray[np.float64]:
    """Weights of `shape` (n_in, n_out) in float64.

    >>> from chainrule.seeds import stream
    >>> W = draw(Init("orthogonal"), (5, 3), stream(0, "init"))
    >>> bool(abs(W.T @ W - np.eye(3)).max() < 1e-14)
    True
    """
    init = Init(init) if isinstance(init, str) else init
    match init.kind:
        case "zeros":
            return np.zeros(shape)
        case "orthogonal":
            return _orthogonal(rng, *shape)
        case "normal":
            return rng.normal(0.0, init.std or 0.0, shape)
    n_in, n_out = shape
    variance = {"he": 2 / n_in, "glorot": 2 / (n_in + n_out), "lecun": 1 / n_in}[init.kind]
    if init.distribution == "uniform":
        return rng.uniform(-1.0, 1.0, shape) * float(np.sqrt(3 * variance))
    return rng.normal(0.0, np.sqrt(variance), shape)


def signs(shape: tuple[int, ...], rng: np.random.Generator) -> NDArray[np.float64]:
    """±1, each as likely."""
    return rng.choice([-1.0, 1.0], shape)


def phases(shape: tuple[int, ...], rng: np.random.Generator) -> NDArray[np.float64]:
    """Uniform on ±π."""
    return rng.uniform(-np.pi, np.pi, shape)


def _orthogonal(rng: np.random.Generator, n_in: int, n_out: int) -> NDArray[np.float64]:
    tall = rng.normal(size=(max(n_in, n_out), min(n_in, n_out)))
    q, r = np.linalg.qr(tall)
    q *= np.sign(np.diag(r))  # without it the distribution is not uniform (Mezzadri 2007)
    return q if n_in >= n_out else q.T

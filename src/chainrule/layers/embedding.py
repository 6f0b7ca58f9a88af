"""The embedding of categories: y = (x's numbers, E at the row of each category's code)."""

from dataclasses import field
from math import sqrt
from typing import Annotated, Any, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from chainrule.arrays import Array, scattered, sum_to
from chainrule.backprop import Context, Layer, Parameter, Parameters
from chainrule.errors import ConfigError
from chainrule.layers.initialisation import Init
from chainrule.spec import List, spec

DIGIT = 256
"""A code comes as two digits to this base, each of which bfloat16 holds exactly."""


@spec
class Embedding(Layer):
    """y = (x₁ ... xₙ, E[r₁], ..., E[rₖ]): the last 2k columns of x are k codes of two digits, r their rows of E.

    Column j has sizes[j] categories with the codes 1, 2, ...; its rows of E (..., Σ sizes, width) follow those of the
    columns before it. Code 0, a category that training rows did not have, gives zeros, as one-hot would.
    Pullback: dE[r] = Σ dy over all places that gave E[r]; dx = dy in the first n columns, 0 at the codes, of which y
    is a step function. E starts at N(0, 1/width), so that its rows are about as long as a one-hot's.
    Raises a ConfigError for no column, and for more categories than two digits tell apart. (Guo & Berkhahn 2016)
    """

    sizes: List[Annotated[int, Field(gt=0)]]
    width: Annotated[int, Field(gt=0)] = 8
    kind: Literal["embedding"] = field(default="embedding", kw_only=True, repr=False)

    def __post_init__(self) -> None:
        """Refuse an embedding of nothing, and more categories than two digits can tell apart."""
        if not self.sizes or max(self.sizes) >= DIGIT**2:
            raise ConfigError(
                f"embedding sizes {self.sizes}: expected the number of categories of each embedded column, "
                f"below {DIGIT**2:,}"
            )

    def n_plain(self, n_in: int) -> int:
        """How many columns pass as they are."""
        return n_in - 2 * len(self.sizes)

    def n_out(self, n_in: int) -> int:
        """The plain columns, and `width` for each embedded one."""
        if self.n_plain(n_in) < 0:
            raise ConfigError(
                f"{len(self.sizes)} embedded columns take the last {2 * len(self.sizes)} of its inputs, two digits "
                f"each, but there are {n_in}"
            )
        return self.n_plain(n_in) + self.width * len(self.sizes)

    def parameters(self, n_in: int) -> dict[str, Parameter]:  # noqa: ARG002
        """E (Σ sizes, width): the weights of a linear layer on all one-hot codes."""
        return {"E": Parameter((sum(self.sizes), self.width), "weight", Init("normal", std=sqrt(1 / self.width)))}

    def example(self, rng: np.random.Generator, rows: int, n_in: int) -> NDArray[np.float64]:
        """Rows with numbers and codes, (rows, n_in)."""
        codes = np.stack([rng.integers(0, size + 1, rows) for size in self.sizes], axis=1)  # (rows, k)
        digits = np.stack(np.divmod(codes, DIGIT), axis=2).reshape(rows, -1)  # (rows, 2k)
        return np.concatenate([rng.normal(size=(rows, self.n_plain(n_in))), digits], axis=1)

    def forward(self, parameters: Parameters, x: Array, context: Context) -> Any:
        """y (..., batch, n_out) and its pullback."""
        E, xp, kernels = parameters["E"], context.xp, context.kernels
        made = kernels and kernels.embedding(self, E, x, needed=context.input_gradient)
        if made:
            return made
        n, k, lead = self.n_plain(x.shape[-1]), len(self.sizes), E.shape[:-2]
        rows, seen = self._rows(x[..., n:], lead, xp)  # (..., batch, k) each
        flat = E.reshape(-1, self.width)  # (networks * Σ sizes, width)
        picked = xp.take(flat, rows.reshape(-1), axis=0) * seen.reshape(-1, 1)
        picked = picked.reshape(*rows.shape[:-1], k * self.width)  # (..., batch, k * width)
        plain = xp.broadcast_to(x[..., :n], (*rows.shape[:-1], n))
        y = xp.concat([plain, picked], axis=-1)

        def pullback(dy: Array) -> tuple[Array, Parameters]:
            dpicked = dy[..., n:].reshape(-1, self.width) * seen.reshape(-1, 1)  # (... * batch * k, width)
            dE = scattered(dpicked, rows.reshape(-1), tuple(flat.shape), xp).reshape(E.shape)
            if not context.input_gradient:
                return None, {"E": dE}
            dcodes = xp.zeros_like(x[..., n:])
            return xp.concat([sum_to(dy[..., :n], x[..., :n].shape, xp), dcodes], axis=-1), {"E": dE}

        return y, pullback

    def _rows(self, digits: Array, lead: tuple[int, ...], xp: Any) -> tuple[Array, Array]:
        """Rows of E, all networks' under each other, (..., batch, k), and 1 where there is such a category, else 0."""
        whole = xp.astype(xp.round(digits), xp.int64)
        code = whole[..., 0::2] * DIGIT + whole[..., 1::2]  # (..., batch, k)
        sizes = xp.asarray(self.sizes, dtype=xp.int64, device=_device(digits))
        first = xp.cumulative_sum(sizes) - sizes
        seen = (code >= 1) & (code <= sizes)
        rows = first + xp.where(seen, code - 1, 0)
        if lead:
            n_networks = int(np.prod(lead))
            networks = xp.arange(n_networks, device=_device(digits)).reshape(*lead, 1, 1) * sum(self.sizes)
            rows = rows + networks  # (..., batch, k)
            seen = xp.broadcast_to(seen, rows.shape)
        return rows, xp.astype(seen, digits.dtype)


def _device(x: Array) -> Any:
    return getattr(x, "device", None)

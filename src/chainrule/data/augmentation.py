"""Rows changed at random while training: a function of the seed and the step, with nothing to remember."""

from typing import Annotated, Any

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from chainrule.errors import ConfigError
from chainrule.seeds import stream
from chainrule.spec import spec


@spec
class Augment:
    """flip: mirror every other image, left to right. shift: move each by up to so many pixels, edges reflected.

    cutout: a square of that side, its centre anywhere in the image, becomes 0 after preprocessing (DeVries and Taylor
    2017). mixup: α; each row becomes λ of itself and 1 - λ of another row of the batch, its target likewise, with
    λ of Beta(α, α) (Zhang et al. 2018). mixup takes rows of any kind, the others take images.

    >>> bool(Augment()), bool(Augment(flip=True, shift=4))
    (False, True)
    """

    flip: bool = False
    shift: Annotated[int, Field(ge=0)] = 0
    cutout: Annotated[int, Field(ge=0)] = 0
    mixup: Annotated[float, Field(ge=0)] = 0.0

    def __bool__(self) -> bool:
        return self.on_images or self.mixup > 0

    @property
    def on_images(self) -> bool:
        """Whether pixels are moved or covered."""
        return self.flip or self.shift > 0 or self.cutout > 0

    def check(self, row_shape: tuple[int, ...]) -> None:
        """Raise a ConfigError where rows of `row_shape` are no images, or are too small."""
        if not self.on_images:
            return
        if len(row_shape) != 3:
            raise ConfigError(
                f"data.augment moves pixels, but a row has shape {row_shape or '(columns)'}; expected images "
                "(channels, height, width). Remove data.augment, or keep its mixup alone"
            )
        side = min(row_shape[1:])
        if self.shift >= side:
            raise ConfigError(f"data.augment.shift {self.shift} is not below the images' smaller side, {side} pixels")
        if self.cutout >= 2 * side:
            raise ConfigError(
                f"data.augment.cutout {self.cutout} would cover every image, whose smaller side is {side} pixels; "
                f"set it below {2 * side}"
            )

    def moves(self, n: int, row_shape: tuple[int, ...], seed: int, step: int) -> NDArray[np.int64]:
        """For each of n images: pixels down and right, mirrored (1) or not, row and column of the cutout; (n, 5).

        Without a cutout its row and column are 0.
        """
        _, height, width = row_shape
        draw = stream(seed, "augment", step)
        down, right = draw.integers(-self.shift, self.shift + 1, size=(2, n))
        mirrored = draw.integers(2, size=n) * self.flip
        top = left = np.zeros(n, np.int64)
        if self.cutout:  # the last to be drawn, so that the others are the same with it and without
            top, left = (draw.integers(size, size=n) - self.cutout // 2 for size in (height, width))
        return np.stack([down, right, mirrored, top, left], axis=1)  # (n, 5)

    def mixture(self, n: int, seed: int, step: int) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
        """For each row of a batch of n, the row that it is mixed with, and λ, the share that it keeps; both (n,)."""
        draw = stream(seed, "augment/mixup", step)
        return draw.permutation(n), draw.beta(self.mixup, self.mixup, size=n)


def pixels(moves: NDArray[np.int64], row_shape: tuple[int, ...]) -> NDArray[np.int64]:
    """For each entry of a batch (n, channels·height·width), flattened, the position that its value comes from."""
    channels, height, width = row_shape
    n, (down, right, mirrored) = len(moves), moves.T[:3, :, None]  # each (n, 1)
    y = reflected(np.arange(height) + down, height)  # (n, height)
    x = reflected(np.arange(width) + right, width)  # (n, width)
    x = np.where(mirrored == 1, width - 1 - x, x)
    planes = np.arange(n * channels).reshape(n, channels, 1, 1) * (height * width)
    return (planes + (y * width)[:, None, :, None] + x[:, None, None, :]).reshape(-1)  # (n·channels·height·width,)


def uncovered(moves: NDArray[np.int64], cutout: int, row_shape: tuple[int, ...]) -> NDArray[np.bool_]:
    """Where a batch (n, channels·height·width) keeps its values."""
    channels, height, width = row_shape
    top, left = moves.T[3:, :, None]  # each (n, 1)
    y, x = np.arange(height), np.arange(width)
    covered = ((y >= top) & (y < top + cutout))[:, :, None] & ((x >= left) & (x < left + cutout))[:, None, :]
    shape = (len(moves), channels, height, width)
    return np.broadcast_to(~covered[:, None], shape).reshape(len(moves), -1)  # (n, channels·height·width)


def reflected(position: NDArray[np.int64], size: int) -> NDArray[np.int64]:
    """Positions beyond an edge, mirrored at the outermost pixel: -1 is 1, size is size - 2."""
    inside = np.abs(position)
    return np.where(inside >= size, 2 * (size - 1) - inside, inside)


def mixed(values: Any, partner: Any, share: Any, xp: Any) -> Any:
    """share·values + (1 - share)·values[partner], for values (n, ...) and share (n,)."""
    share = xp.astype(share, values.dtype).reshape(-1, *[1] * (values.ndim - 1))  # (n, 1, ...)
    return share * values + (1 - share) * xp.take(values, partner, axis=0)

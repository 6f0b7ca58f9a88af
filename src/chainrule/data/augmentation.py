"""Images moved and mirrored at random while training: a function of the seed and the step, with nothing to remember."""

from typing import Annotated, Any

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from chainrule.errors import ConfigError
from chainrule.seeds import stream
from chainrule.spec import spec


@spec
class Augment:
    """flip: mirror every other image, left to right. shift: move each by up to so many pixels, edges reflected."""

    flip: bool = False
    shift: Annotated[int, Field(ge=0)] = 0

    def __bool__(self) -> bool:
        return self.flip or self.shift > 0

    def check(self, row_shape: tuple[int, ...]) -> None:
        """Raise a ConfigError where rows of `row_shape` are no images, or are too small."""
        if not self:
            return
        if len(row_shape) != 3:
            raise ConfigError(
                f"data.augment moves pixels, but a row has shape {row_shape or '(columns)'}; expected images "
                "(channels, height, width). Remove data.augment"
            )
        if self.shift >= min(row_shape[1:]):
            raise ConfigError(
                f"data.augment.shift {self.shift} is not below the images' smaller side, {min(row_shape[1:])} pixels"
            )

    def pixels(self, n: int, row_shape: tuple[int, ...], seed: int, step: int) -> NDArray[np.int64]:
        """For each entry of a batch (n, channels·height·width), flattened, the position that its value comes from."""
        channels, height, width = row_shape
        draw = stream(seed, "augment", step)
        down, right = draw.integers(-self.shift, self.shift + 1, size=(2, n, 1))
        mirrored = draw.integers(2, size=(n, 1)) * self.flip
        y = reflected(np.arange(height) + down, height)  # (n, height)
        x = reflected(np.arange(width) + right, width)  # (n, width)
        x = np.where(mirrored == 1, width - 1 - x, x)
        planes = np.arange(n * channels).reshape(n, channels, 1, 1) * (height * width)
        return (planes + (y * width)[:, None, :, None] + x[:, None, None, :]).reshape(-1)  # (n·channels·height·width,)

    def __call__(self, batch: Any, row_shape: tuple[int, ...], seed: int, step: int, backend: Any) -> Any:
        """`batch` (n, n_in) on the backend's device, each image moved in its own way."""
        index = backend.array(self.pixels(len(batch), row_shape, seed, step))
        return backend.xp.take(batch.reshape(-1), index, axis=0).reshape(batch.shape)  # (n, n_in)


def reflected(position: NDArray[np.int64], size: int) -> NDArray[np.int64]:
    """Positions beyond an edge, mirrored at the outermost pixel: -1 is 1, size is size - 2."""
    inside = np.abs(position)
    return np.where(inside >= size, 2 * (size - 1) - inside, inside)

"""An ONNX graph while it is built."""

from typing import Any

import numpy as np
from numpy.typing import NDArray


class Graph:
    """Nodes and constants in the order in which they were added. A value is named by the place that makes it."""

    def __init__(self) -> None:
        self.nodes: list[Any] = []
        self.constants: dict[str, Any] = {}

    def constant(self, name: str, values: NDArray[Any]) -> str:
        """A named array."""
        from onnx import numpy_helper

        self.constants.setdefault(name, numpy_helper.from_array(np.ascontiguousarray(values), name))
        return name

    def number(self, value: float, dtype: Any = np.float32) -> str:
        """A scalar."""
        return self.constant(f"{np.dtype(dtype).name} {value!r}", np.asarray(value, dtype))

    def cast(self, x: str, kind: int, name: str) -> str:
        """The value `name`: x as numbers of another kind. ("to" is ONNX's own name for the kind.)"""
        from onnx import helper

        self.nodes.append(helper.make_node("Cast", [x], [name], name=name, to=kind))
        return name

    def shape(self, *sizes: int) -> str:
        """A shape for Reshape: 0 keeps the size, -1 takes what is left."""
        return self.constant(f"shape {sizes}", np.array(sizes, np.int64))

    def op(self, kind: str, *inputs: str, to: str, **attributes: Any) -> str:
        """The value `to` made of the inputs."""
        from onnx import helper

        self.nodes.append(helper.make_node(kind, list(inputs), [to], name=to, **attributes))
        return to

"""Models in and out: ONNX, PyTorch, scikit-learn and plain NumPy."""

from chainrule.exporting.export import Exported as Exported
from chainrule.exporting.export import export as export
from chainrule.exporting.sklearn_mlp import from_sklearn as from_sklearn
from chainrule.exporting.sklearn_mlp import to_sklearn as to_sklearn
from chainrule.exporting.torch_in import from_torch as from_torch
from chainrule.exporting.torch_out import to_torch as to_torch

"""Models in and out: ONNX, PyTorch, scikit-learn and plain NumPy."""

from chainrule.exporting.export import Exported as Exported
from chainrule.exporting.export import export as export

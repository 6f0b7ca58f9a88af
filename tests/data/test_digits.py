"""The digits are scikit-learn's, without scikit-learn."""

import subprocess
import sys

import numpy as np
from sklearn.datasets import load_digits

from chainrule.data import read


def test_same_as_scikit_learn() -> None:
    data, theirs = read("digits"), load_digits()
    np.testing.assert_array_equal(data.X, theirs.data)
    np.testing.assert_array_equal(data.y, theirs.target)
    assert (data.X.shape, data.X.dtype, data.row_shape) == ((1797, 64), np.uint8, (1, 8, 8))
    assert data.target_names == tuple("0123456789")


def test_scikit_learn_is_not_imported() -> None:
    script = (
        "import sys\nfrom chainrule.data import read\nread('digits')\n"
        "print(sorted({'sklearn', 'scipy', 'torch', 'pyarrow', 'PIL', 'urllib.request'} & set(sys.modules)))"
    )
    out = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True).stdout
    assert out == "[]\n"

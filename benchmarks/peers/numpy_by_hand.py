"""The same training as a short program in NumPy: one hidden layer of ReLU, gradients by hand, updates in place."""

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .cases import Case, Data, batches
from .measure import Contestant, stepping

PLAIN, FLAT = "NumPy by hand, float32", "NumPy by hand, float32, one flat vector"
BETA1, BETA2, EPSILON = 0.9, 0.999, 1e-8


def step_of(case: Case, data: Data, initial: list[NDArray[Any]], *, flat: bool) -> Callable[[Any], float]:
    """A step on the rows it is given. flat: all parameters in one vector, so that the update is one pass."""
    sizes = [value.size for value in initial]
    vector = np.concatenate([value.ravel() for value in initial]).astype(np.float32)
    gradient = np.zeros_like(vector)
    ends = np.cumsum(sizes)[:-1]
    views = [
        [part.reshape(value.shape) for part, value in zip(np.split(v, ends), initial, strict=True)]
        for v in (vector, gradient)
    ]
    (W1, b1, W2, b2), (dW1, db1, dW2, db2) = views
    pairs = [(vector, gradient)] if flat else list(zip(*views, strict=True))
    moments = [(np.zeros_like(p), np.zeros_like(p), np.zeros_like(p)) for p, _ in pairs]
    X, labels, shift, scale = data.X, data.y, data.shift, data.scale
    places = np.arange(case.batch)
    n_done = 0

    def sgd() -> None:
        for p, g in pairs:
            np.multiply(g, case.lr, out=g)
            p -= g

    def adam() -> None:
        rate = case.lr / (1 - BETA1**n_done)
        correction = (1 - BETA2**n_done) ** 0.5
        for (p, g), (m, v, scratch) in zip(pairs, moments, strict=True):
            m *= BETA1
            v *= BETA2
            np.multiply(g, g, out=scratch)
            scratch *= 1 - BETA2
            v += scratch
            g *= 1 - BETA1
            m += g
            np.sqrt(v, out=scratch)
            scratch /= correction
            scratch += EPSILON
            np.divide(m, scratch, out=scratch)
            scratch *= rate
            p -= scratch

    update = {"sgd": sgd, "adam": adam}[case.rule]

    def step(rows: Any) -> float:
        nonlocal n_done
        n_done += 1
        y, n = labels[rows], len(rows)
        x = X[rows]
        x = x - shift if x.dtype == np.uint8 else np.subtract(x, shift, out=x)
        x *= scale
        h = x @ W1
        h += b1
        np.maximum(h, 0, out=h)
        z = h @ W2
        z += b2
        z -= z.max(axis=1, keepdims=True)
        np.exp(z, out=z)
        z /= z.sum(axis=1, keepdims=True)
        at = places[:n], y
        loss = -float(np.log(z[at]).mean())
        z[at] -= 1
        z /= n
        np.matmul(h.T, z, out=dW2)
        z.sum(axis=0, out=db2)
        dh = z @ W2.T
        dh *= h > 0
        np.matmul(x.T, dh, out=dW1)
        dh.sum(axis=0, out=db1)
        if case.penalty:
            for W, dW in ((W1, dW1), (W2, dW2)):
                dW += 2 * case.penalty * W
        update()
        return loss

    return step


def contestants(case: Case, data: Data, initial: list[NDArray[Any]]) -> list[Contestant]:
    """Both ways of writing it, where there is one hidden layer and nothing else."""
    found = []
    if len(case.hidden) == 1 and not case.norm and not case.dropout:
        for name, flat in ((PLAIN, False), (FLAT, True)):
            step, rows = step_of(case, data, initial, flat=flat), batches(case)
            found.append(stepping(name, lambda step=step, rows=rows: step(next(rows))))
    return found

"""Validation as the report's PyTorch code did it: in training mode, with dropout and the batch's own statistics."""

import numpy as np

from chainrule.backends import choose
from chainrule.backprop import forward
from chainrule.data import Dataset, split
from chainrule.runs.run import Run
from chainrule.training.evaluate import affine_arrays


def accuracy_in_training_mode(run: Run, data: Dataset) -> float:
    """Share of the validation rows that are right, in batches of the training's size.

    The report's code also let these batches into the running statistics; here they leave no trace.
    """
    model, config = run.model, run.config
    rows, size = split(data, config.data.split).validation, config.training.batch_size or 128
    backend = choose(config.compute, model.network.flops_per_row * size)
    right = 0
    with backend.scope():
        X = backend.array(model.preprocessing.on_host(data, backend.host_dtype))
        parameters = backend.working(backend.parameters(model.parameters), model.network.parameters)
        affine = affine_arrays(model.preprocessing, X, backend)
        for i, start in enumerate(range(0, len(rows), size)):
            part = rows[start : start + size]
            x = backend.prepare_rows(X, part, *affine)
            context = backend.context(training=True, seed=config.training.seed, step=i)
            z = backend.numpy(forward(model.network.layers, parameters, x, context).y)  # (size, n_out)
            right += int(np.sum(z.argmax(axis=1) == data.y[part]))
    return right / len(rows)

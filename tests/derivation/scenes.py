"""The scenes of the page by name."""

from collections.abc import Callable
from functools import partial

import chainrule as cr
from derivation.scenes_layers import (
    activation,
    batch_norm,
    batch_norm_evaluation,
    dropout,
    embedding,
    layer_norm,
    members,
    periodic_embedding,
    residual,
    selu,
    sigmoid,
    smooth_clip,
)
from derivation.scenes_losses import elementwise, huber, label_smoothing, poisson, sample_weights
from derivation.scenes_network import columns, two_layers
from derivation.setting import Setting

SETTINGS: dict[str, Callable[[], Setting]] = {
    "two-layers": two_layers,
    "columns": columns,
    "relu": partial(activation, cr.ReLU),
    "leaky-relu": partial(activation, cr.LeakyReLU, slope=True),
    "tanh": partial(activation, cr.Tanh),
    "sigmoid": sigmoid,
    "gelu": partial(activation, cr.GELU),
    "gelu-tanh": partial(activation, partial(cr.GELU, "tanh")),
    "silu": partial(activation, cr.SiLU),
    "selu": selu,
    "mish": partial(activation, cr.Mish),
    "batch-norm": batch_norm,
    "batch-norm-evaluation": batch_norm_evaluation,
    "layer-norm": layer_norm,
    "dropout": dropout,
    "embedding": embedding,
    "residual": residual,
    "smooth-clip": smooth_clip,
    "periodic-embedding": periodic_embedding,
    "members": members,
    "label-smoothing": label_smoothing,
    "sample-weights": sample_weights,
    "sigmoid-cross-entropy": partial(elementwise, lambda at: cr.SigmoidCrossEntropy()),
    "squared-error": partial(elementwise, lambda at: cr.SquaredError()),
    "huber": huber,
    "poisson": poisson,
}

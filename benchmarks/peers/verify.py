"""That the others do the same work: from the same weights, on the same batches, they reach the same losses."""

from contextlib import suppress
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from . import jax_, numpy_by_hand, ours, pytorch
from .cases import Case, Data
from .measure import Skipped

STEPS, TOLERANCE = 5, 1e-4


def data_of(plan: Any) -> Data:
    """The plan's data and preprocessing, for all."""
    prepared = plan.preprocessing
    return Data(plan.data.X, plan.data.y, prepared.shift.astype(np.float32), prepared.scale.astype(np.float32))


def initial_of(plan: Any) -> list[NDArray[np.float64]]:
    """The trainable arrays at the start, in the order of the layers."""
    values = plan.network.initial(plan.config.training.seed)
    return [values[name] for name in plan.network.trainable]


def verify(case: Case, threads: int) -> dict[str, float]:
    """The largest difference from our losses, by name, with dropout off and in float32; asserts that it is small."""
    small = replace(case, rows=STEPS * case.batch, dropout=0.0)  # five batches, of random masks none
    plan = ours.planned(small, "float32", threads)
    data, initial = data_of(plan), initial_of(plan)
    step = ours.next_step(plan)
    with plan.backend.scope():
        expected = [float(step()) for _ in range(STEPS)]
    others: dict[str, Any] = {}
    for name, (autocast, fused) in pytorch.RESIDENT.items():
        if not autocast:
            others[name] = pytorch.resident_step(small, data, initial, fused=fused)
    if len(case.hidden) == 1:
        others[numpy_by_hand.PLAIN] = numpy_by_hand.step_of(small, data, initial, flat=False)
        others[numpy_by_hand.FLAT] = numpy_by_hand.step_of(small, data, initial, flat=True)
    with suppress(Skipped):
        others[jax_.NAME] = jax_.step_of(small, data, initial)
    found = {}
    for name, other in others.items():
        losses = [_number(other(plan.batches.rows(k))) for k in range(STEPS)]
        found[name] = max(abs(a - b) for a, b in zip(losses, expected, strict=True))
        assert found[name] < TOLERANCE, f"{case.name}: {name} reaches the losses {losses}, ours are {expected}"
    item, _ = pytorch.dataset(data)[1]
    assert np.allclose(item.numpy(), data.prepared(2)[1], atol=TOLERANCE), "the items of the DataLoader are others"
    return found


def _number(loss: Any) -> float:
    return float(loss.detach() if hasattr(loss, "detach") else loss)

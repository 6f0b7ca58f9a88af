"""JAX: the whole step under jit, buffers donated, rules written out, in float32."""

from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .cases import Case, Data, batches
from .measure import Contestant, Skipped, stepping

NAME = "JAX, jit, float32"
BETA1, BETA2, EPSILON, MOMENTUM = 0.9, 0.999, 1e-8, 0.1


def step_of(case: Case, data: Data, initial: list[NDArray[Any]]) -> Callable[[Any], Any]:
    """A step on the rows it is given, which are always as many."""
    try:
        import jax
        import jax.numpy as jnp
    except ImportError:
        raise Skipped("JAX is not installed") from None
    X, y, shift, scale = map(jnp.asarray, (data.X, data.y.astype(np.int32), data.shift, data.scale))
    adaptive = case.rule != "sgd"

    def forward(parameters: Any, running: Any, x: Any, key: Any) -> Any:
        values, renewed = iter(parameters), []
        for i in range(len(case.hidden)):
            x = x @ next(values) + next(values)
            if case.norm:
                mean, variance = x.mean(0), x.var(0)
                x = (x - mean) * jax.lax.rsqrt(variance + 1e-5) * next(values) + next(values)
                unbiased = variance * (len(x) / (len(x) - 1))
                renewed += [(1 - MOMENTUM) * running[2 * i] + MOMENTUM * mean]
                renewed += [(1 - MOMENTUM) * running[2 * i + 1] + MOMENTUM * unbiased]
            x = jax.nn.relu(x)
            if case.dropout:
                kept = jax.random.bernoulli(jax.random.fold_in(key, i), 1 - case.dropout, x.shape)
                x = jnp.where(kept, x / (1 - case.dropout), 0)
        return x @ next(values) + next(values), renewed

    def loss_of(parameters: Any, running: Any, x: Any, target: Any, key: Any) -> Any:
        logits, renewed = forward(parameters, running, x, key)
        chosen = jnp.take_along_axis(jax.nn.log_softmax(logits), target[:, None], axis=1)
        return -chosen.mean(), renewed

    def rule(p: Any, g: Any, m: Any, v: Any, t: Any) -> Any:
        g = g + 2 * case.penalty * p if p.ndim == 2 and case.penalty else g
        if not adaptive:
            return p - case.lr * g, m, v
        p = p * (1 - case.lr * case.decay) if p.ndim == 2 and case.decay else p
        m, v = BETA1 * m + (1 - BETA1) * g, BETA2 * v + (1 - BETA2) * g * g
        root = jnp.sqrt(v) / jnp.sqrt(1 - BETA2**t)
        return p - case.lr / (1 - BETA1**t) * m / (root + EPSILON), m, v

    @partial(jax.jit, donate_argnums=0)
    def step(state: Any, X: Any, y: Any, rows: Any) -> Any:
        parameters, m, v, running, t = state
        x = (X[rows].astype(jnp.float32) - shift) * scale
        key = jax.random.fold_in(jax.random.key(0), t.astype(jnp.int32))
        (loss, renewed), gradients = jax.value_and_grad(loss_of, has_aux=True)(parameters, running, x, y[rows], key)
        done = [rule(*values, t + 1) for values in zip(parameters, gradients, m, v, strict=True)]
        new, m, v = (list(values) for values in zip(*done, strict=True))
        return (new, m, v, renewed, t + 1), loss

    def zeros() -> list[Any]:
        return [jnp.zeros(value.shape if adaptive else (), jnp.float32) for value in initial]

    running = [f(n, jnp.float32) for n in case.hidden for f in (jnp.zeros, jnp.ones)] if case.norm else []
    state = ([jnp.asarray(value, jnp.float32) for value in initial], zeros(), zeros(), running, jnp.float32(0))

    def advance(rows: Any) -> Any:
        nonlocal state
        state, loss = step(state, X, y, rows.astype(np.int32))
        return loss

    return advance


def contestant(case: Case, data: Data, initial: list[NDArray[Any]]) -> Contestant:
    """Batches all of one size, as jit wants them."""
    step, rows = step_of(case, data, initial), batches(case, drop_last=True)
    return stepping(NAME, lambda: step(next(rows)), wait=lambda loss: loss.block_until_ready())

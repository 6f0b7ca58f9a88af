"""A user's own layers, tried once before a run: a wrong shape would broadcast and train nonsense in silence."""

from collections.abc import Sequence
from typing import Any

from chainrule.arrays import Array, equal, like
from chainrule.backprop import Context, Layer, Parameters, refuse_numpy, refuse_numpy_in
from chainrule.errors import ConfigError
from chainrule.losses import Loss
from chainrule.network.network import kind_of, own_layers
from chainrule.spec import is_own


def audit(layers: Sequence[Layer], parameters: Parameters, x: Array, context: Context, above: str = "") -> None:
    """Run x (batch, n_in) through `layers`; raise a ConfigError for an own layer that breaks the contract.

    Checked are that x and dy stay as they are, the shape of y, and that the pullback gives (dx, {name: gradient}) with
    the shapes of x and of the layer's trainable parameters, all of them and no other; y and dx have the dtype of x. A
    chain without own layers is not run at all.
    """
    if not own_layers(layers):
        return
    for i, layer in enumerate(layers):
        own = {k.removeprefix(f"{i}."): v for k, v in parameters.items() if k.startswith(f"{i}.")}
        here = context._replace(path=f"{above}{i}", input_gradient=True)
        if layer in own_layers(layers):
            try:
                x = _audit_one(layer, own, x, here)
            except (RuntimeError, TypeError) as error:
                refuse_numpy_in(layer, here.path, error)
                raise
        else:
            body = {k.removeprefix("body."): v for k, v in own.items()}
            audit(getattr(layer, "body", ()), body, x, here, f"{above}{i}.body.")
            x = layer.forward(own, x, here)[0]


def _audit_one(layer: Layer, parameters: Parameters, x: Array, context: Context) -> Array:
    what = f"layer {context.path} ({kind_of(layer)})"
    n_in = x.shape[-1]
    before = context.xp.asarray(x, copy=True)
    result: Any = layer.forward(parameters, x, context)
    _check_unchanged(f"{what}: forward", "x", x, before, context.xp)
    if isinstance(result, tuple) and not (len(result) in (2, 3) and callable(result[1])):
        raise ConfigError(
            f"{what}: forward returns a tuple of {', '.join(type(part).__name__ for part in result)}; expected (y, "
            "pullback), or (y, pullback, statistics), or y alone, whose pullback torch derives"
        )
    y, pullback = (result[0], result[1]) if isinstance(result, tuple) else (result, None)
    expected = (*x.shape[:-1], layer.n_out(n_in))
    if getattr(y, "shape", None) != expected:
        found = f"shape {tuple(y.shape)}" if hasattr(y, "shape") else repr(y)
        raise ConfigError(f"{what}: forward gives y of {found}; expected {expected}, for its n_out says {expected[-1]}")
    if pullback is None:
        return like(y, x, context.xp)  # as a derived one does
    _check_dtype(f"{what}: forward gives y", "y", y, x)
    dy, dy_before = _generic(y, context.xp), _generic(y, context.xp)
    answer = pullback(dy)
    _check_unchanged(f"{what}: its pullback", "dy", dy, dy_before, context.xp)
    _check_unchanged(f"{what}: its pullback", "x", x, before, context.xp)
    if not (isinstance(answer, tuple) and len(answer) == 2 and isinstance(answer[1], dict)):
        raise ConfigError(f"{what}: its pullback returns a {type(answer).__name__}; expected (dx, {{name: gradient}})")
    dx, gradients = answer
    if getattr(dx, "shape", None) != x.shape:
        found = f"shape {tuple(dx.shape)}" if hasattr(dx, "shape") else repr(dx)
        raise ConfigError(f"{what}: its pullback gives dx of {found}; expected that of x, {tuple(x.shape)}")
    _check_dtype(f"{what}: its pullback gives dx", "dx", dx, x)
    trainable = {k: p.shape for k, p in layer.parameters(n_in).items() if p.role != "running"}
    found_shapes = {k: tuple(g.shape) for k, g in gradients.items()}
    if found_shapes != trainable:
        raise ConfigError(
            f"{what}: its pullback gives gradients of shapes {found_shapes}; expected those of its parameters, "
            f"{trainable}"
        )
    return y


def _generic(y: Array, xp: Any) -> Array:
    """An array like y of numbers on both sides of 0, 1 and -1, so that a mask or a clip in place shows."""
    signs = 1 - 2 * (xp.arange(y.shape[-1], dtype=y.dtype, device=y.device) % 2)
    rows = 0.5 + xp.arange(y.shape[-2], dtype=y.dtype, device=y.device)  # (batch,)
    return xp.zeros_like(y) + signs * rows[:, None]


def _check_unchanged(what: str, name: str, now: Array, before: Array, xp: Any) -> None:
    if not equal(now, before, xp):
        raise ConfigError(
            f"{what} changes {name} in place, which other layers and the way back still need; make a new array, such "
            f"as 2 * {name} for {name} *= 2"
        )


def check_task(loss: Loss) -> None:
    """Raise a ConfigError for a loss of the user's own that does not say what it is for."""
    task = getattr(loss, "task", None)
    if task not in ("classification", "multilabel", "regression"):
        raise ConfigError(
            f"loss {kind_of(loss)}: its task is {task!r}; expected 'classification', 'multilabel' or 'regression', as "
            'an attribute of its class, such as task = "regression"'
        )


def audit_loss(loss: Loss, logits: Array, target: Array, xp: Any) -> None:
    """Try a loss of the user's own on `logits` (batch, n_out); raise a ConfigError where it breaks the contract.

    Checked are its task, that z and the target stay as they are, and the shapes of what `rows` and `predict` give.
    """
    if not (is_own(loss) and isinstance(loss, Loss)):  # `check` takes any function
        return
    check_task(loss)
    try:
        _audit_loss(loss, logits, target, xp)
    except (RuntimeError, TypeError) as error:
        refuse_numpy(error, f"Loss {kind_of(loss)}", "xp", "rows and predict", "z")
        raise


def _audit_loss(loss: Loss, logits: Array, target: Array, xp: Any) -> None:
    what, shape = f"loss {kind_of(loss)}", tuple(logits.shape)
    z, t = xp.asarray(logits, copy=True), xp.asarray(target, copy=True)
    answer: Any = loss.rows(z, t, xp)
    _check_inputs(f"{what}: rows", (z, logits), (t, target), xp)
    if not (isinstance(answer, tuple | list) and len(answer) == 2):
        raise ConfigError(
            f"{what}: rows returns {_told(answer)}; expected (values, slopes), of shapes {shape[:-1]} and {shape}"
        )
    found, expected = [_shape(part) for part in answer], [shape[:-1], shape]
    if found != expected:
        raise ConfigError(
            f"{what}: rows gives shapes {found[0]} and {found[1]}; expected {expected[0]}, a number a row, and "
            f"{expected[1]}, its slopes"
        )
    predicted: Any = loss.predict(z, xp)
    _check_inputs(f"{what}: predict", (z, logits), (t, target), xp)
    if _shape(predicted) != shape:
        raise ConfigError(f"{what}: predict gives {_told(predicted)}; expected shape {shape}, that of the logits")


def _shape(part: Any) -> tuple[int, ...] | None:
    """None of what is no array; a plain number is of shape ()."""
    return () if isinstance(part, int | float) else tuple(part.shape) if hasattr(part, "shape") else None


def _told(answer: Any) -> str:
    if isinstance(answer, tuple | list):
        return f"a {type(answer).__name__} of {len(answer)}"
    return repr(answer) if _shape(answer) in (None, ()) else f"an array of shape {_shape(answer)}"


def _check_inputs(what: str, z: tuple[Array, Array], target: tuple[Array, Array], xp: Any) -> None:
    """Each as it is now and as it was."""
    if not equal(*z, xp):
        raise ConfigError(
            f"{what} changes z in place, which predictions are still made from; make a new array, such as z - t for "
            "z -= t"
        )
    if not equal(*target, xp):
        raise ConfigError(f"{what} changes target in place; make a new array, such as 2 * target for target *= 2")


def _check_dtype(what: str, name: str, found: Array, x: Array) -> None:
    if found.dtype != x.dtype:
        raise ConfigError(
            f"{what} of dtype {found.dtype}; expected that of x, {x.dtype}. Use Python's numbers, float(np.sqrt(2.0)) "
            f"for np.sqrt(2.0), or cast: context.xp.astype({name}, x.dtype)"
        )

"""The parts of an SVG drawing: escaped text, elements, axes with round numbers."""

from collections.abc import Sequence
from math import ceil, floor, log10

from markupsafe import Markup, escape

from chainrule.text import printable


def text_of(text: str) -> Markup:
    """Text for HTML and SVG: what does not print is shown as its code, and nothing in it is markup."""
    return escape(printable(text))


def element(name: str, inner: Markup | str = "", /, **attributes: object) -> Markup:
    """One element. Attributes: `class_` for class, `_` for `-`; numbers with at most two decimals."""
    written = "".join(
        f' {key.rstrip("_").replace("_", "-")}="{_attribute(value)}"' for key, value in attributes.items()
    )
    body = escape(inner)
    return Markup(f"<{name}{written}/>") if not body else Markup(f"<{name}{written}>{body}</{name}>")  # noqa: S704


def _attribute(value: object) -> str:
    return f"{value:.2f}".rstrip("0").rstrip(".") if isinstance(value, float) else str(text_of(str(value)))


def joined(parts: Sequence[Markup]) -> Markup:
    """One after another."""
    return Markup("").join(parts)


def label(text: str, x: float, y: float, class_: str = "", anchor: str = "start", most: int = 0) -> Markup:
    """A line of text, cut after `most` characters; the whole is its tooltip then."""
    shown = printable(text).replace("\n", " ")
    cut = f"{shown[: most - 1]}…" if most and len(shown) > most else shown
    whole = element("title", shown) if cut != shown else Markup("")
    return element("text", escape(cut) + whole, x=float(x), y=float(y), class_=class_, text_anchor=anchor)


def drawing(title: str, width: float, height: float, parts: Sequence[Markup], class_: str = "") -> Markup:
    """The whole: an image with a name for who cannot see it; its numbers stand in the table beside it."""
    return element(
        "svg", joined(parts), viewBox=f"0 0 {width:.0f} {height:.0f}", width=f"{width:.0f}", height=f"{height:.0f}",
        role="img", aria_label=title, class_=f"drawing {class_}".strip(),
    )  # fmt: skip


def ticks(low: float, high: float, most: int = 6) -> list[float]:
    """Round numbers (1, 2 or 5 times a power of ten apart) within [low, high].

    >>> ticks(0, 1), ticks(0.93, 0.98, 4)
    ([0.0, 0.2, 0.4, 0.6, 0.8, 1.0], [0.94, 0.96, 0.98])
    """
    if not high > low:
        return [low]
    rough = (high - low) / max(most - 1, 1)
    power = 10.0 ** floor(log10(rough))
    step = next(power * one for one in (1, 2, 5, 10) if power * one >= rough * 0.999)
    first, last = ceil(low / step - 1e-9), floor(high / step + 1e-9)
    return [float(f"{i * step:.12g}") for i in range(first, last + 1)]


def log_ticks(low: float, high: float) -> list[float]:
    """Powers of ten within [low, high], and 2 and 5 times them where they are few.

    >>> log_ticks(1, 1000), log_ticks(10, 60)
    ([1.0, 10.0, 100.0, 1000.0], [10.0, 20.0, 50.0])
    """
    powers = range(floor(log10(low)), ceil(log10(high)) + 1)
    inside = [10.0**p for p in powers if low * 0.999 <= 10.0**p <= high * 1.001]
    if len(inside) >= 3:
        return inside[:: max(len(inside) // 6, 1)]
    return [m * 10.0**p for p in powers for m in (1, 2, 5) if low * 0.999 <= m * 10.0**p <= high * 1.001]


def short(value: float) -> str:
    """A tick in a few characters."""
    size = abs(value)
    return f"{value:.0e}".replace("e-0", "e-").replace("e+0", "e") if size and (size < 1e-3 or size >= 1e5) else (
        f"{value:.10g}"
    )  # fmt: skip

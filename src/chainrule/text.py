"""Plain text tables."""

from collections.abc import Sequence


def number(value: float) -> str:
    """A metric: four decimals, or four significant digits where those would hide it.

    >>> number(0.98765), number(123456.789), number(0.00001234)
    ('0.9877', '1.235e+05', '1.234e-05')
    """
    return f"{value:.4f}" if value == 0 or 1e-3 <= abs(value) < 1e5 else f"{value:.3e}"


def columns(header: Sequence[str], rows: Sequence[Sequence[object]], right: Sequence[int] = ()) -> str:
    """Rows under a header, columns aligned with two spaces between; those numbered in `right` flush right.

    >>> print(columns(["a", "n"], [["x", 5], ["yy", 10]], right=[1]))
    a    n
    x    5
    yy  10
    """
    cells = [[str(cell) for cell in row] for row in [header, *rows]]
    widths = [max(len(row[i]) for row in cells) for i in range(len(header))]
    lines = (
        "  ".join(
            cell.rjust(w) if i in right else cell.ljust(w) for i, (cell, w) in enumerate(zip(row, widths, strict=True))
        )
        for row in cells
    )
    return "\n".join(line.rstrip() for line in lines)

"""What all tables share: the names of their columns, one of them the target, and what is no value of it."""

import difflib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from numpy.typing import NDArray

from chainrule.data.dataset import Dataset, Task
from chainrule.data.readers.columns import Features, refuse_dates
from chainrule.data.readers.values import Texts, shown, targets, told
from chainrule.errors import DataError

_LONGEST_LABEL = 1_000
_SHOWN = 80


def target_index(path: Path, names: Sequence[str], target: str | None) -> int:
    """Where the target is among the columns: the named one, or the last."""
    _check_names(path, names)
    if len(names) < 2:
        hint = _SEPARATED if _otherwise_separated(names) else ""
        raise DataError(f"{path}: the only column is {shown(repr(names[0]))}; expected features and a target.{hint}")
    return len(names) - 1 if target is None else _index(path, names, target)


def column_indices(path: Path, names: Sequence[str], wanted: Sequence[str]) -> list[int]:
    """Where the wanted columns are, whatever others are called; all columns, if none are named."""
    _check_names(path, [name for name in names if name in set(wanted)] if wanted else names)
    places = {name: i for i, name in enumerate(names)}
    missing = next((name for name in wanted if name not in places), None)
    if missing is not None:
        raise _no_column(path, names, missing)
    return [places[name] for name in wanted] if wanted else list(range(len(names)))


_SEPARATED = " Separate cells by commas, in a .tsv by tabs."


def _otherwise_separated(names: Sequence[str]) -> bool:
    return len(names) == 1 and any(mark in names[0] for mark in ";\t|")


def _check_names(path: Path, names: Sequence[str]) -> None:
    seen = set()
    for i, name in enumerate(names):
        if not name:
            raise DataError(f"{path}: column {i + 1} has no name. Name it, or remove it if it is a row index.")
        if name.startswith("__index_level_"):
            raise DataError(f"{path}: column {name!r} is the row index of pandas. Write the table with index=False.")
        if name in seen:
            raise twice(path, name)
        seen.add(name)


def twice(path: Path, name: str) -> DataError:
    """A name that two columns have."""
    return DataError(f"{path}: two columns are called {shown(repr(name))}. Rename or remove one of them.")


def _index(path: Path, names: Sequence[str], name: str) -> int:
    if name not in names:
        raise _no_column(path, names, name)
    return names.index(name)


def _no_column(path: Path, names: Sequence[str], name: str) -> DataError:
    # Among very many or long names the search would take minutes.
    short = [each for each in names[:1_000] if len(each) <= _SHOWN]
    near = difflib.get_close_matches(name, short, n=1) if len(name) <= _SHOWN else []
    hint = f"did you mean {near[0]!r}?" if near else f"its columns are {shown(', '.join(names))}"
    if _otherwise_separated(names):
        hint = f"its only column is {shown(repr(names[0]))}.{_SEPARATED}"
    return DataError(f"{path}: there is no column {shown(repr(name))}; {hint}")


def table(
    path: Path, features: Features, y: NDArray[Any] | Texts, names: Sequence[str], at: int, task: Task | None
) -> Dataset:
    """The data set of a table whose column `at` is the target."""
    if isinstance(y, Texts):
        refuse_dates(path, names[at], y.words)
    how = "" if task else told(y, names[at])
    y, task, target_names = targets(y, task, path, names[at])
    return Dataset(path.stem, features.X, y, task, target_names, (*names[:at], *names[at + 1 :]),
                   categories=features.categories, told=how)  # fmt: skip


def gap(path: Path, where: str, name: str, value: object, *, learn: bool = True) -> DataError:
    """The error for a cell without a value. learn: whether the rows are to be learnt from; else they are predicted."""
    advice = "Fill the gap, or remove the row or the column." if learn else f"The model knows no gaps. {_TO_PREDICT}"
    return _cell(path, where, name, value, "is no value", advice)


def no_number(path: Path, where: str, name: str, value: object, *, learn: bool = True) -> DataError:
    """The error for a cell, or a whole column, of something else than numbers."""
    advice = "Encode the column as numbers or remove it; if it is what to predict, name it as the target."
    return _cell(path, where, name, value, "is no number",
                 advice if learn else f"The model takes numbers there. {_TO_PREDICT}")  # fmt: skip


_TO_PREDICT = "Correct the cell, or leave the row out."


def _cell(path: Path, where: str, name: str, value: object, what: str, advice: str) -> DataError:
    return DataError(f"{path}: {where}, column {shown(repr(name))}: {shown(repr(value))} {what}. {advice}")


def check_label(path: Path, name: str, longest: int) -> None:
    """Refuse texts that are too long to be labels, before arrays are made of them."""
    if longest > _LONGEST_LABEL:
        raise DataError(
            f"{path}: target {name!r} has a text of {longest:,} characters; expected at most {_LONGEST_LABEL:,}. "
            "Choose another column as the target."
        )

"""A column of Arrow, from a file or from memory: numbers with gaps as NaN, or coded words."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from chainrule.data.readers.columns import Source, merged, too_many
from chainrule.data.readers.values import Texts, native
from chainrule.data.tables import MOST_WORDS, is_gap, word


def column(source: Source, name: str, values: Any, *, learn: bool = True) -> NDArray[Any] | Texts:
    """A chunked array of a type that `is_known`.

    Raises a DataError for more texts than a column of categories has, where the rows are to be learnt from.
    """
    from pyarrow import types

    if types.is_null(values.type):
        return np.full(len(values), np.nan)
    if is_numeric(values.type):
        return numbers(values)
    coded = (values if is_dictionary(values.type) else values.dictionary_encode()).combine_chunks()
    codes = coded.indices.fill_null(-1).to_numpy(zero_copy_only=False).astype(np.int64)
    used = np.unique(codes[codes >= 0])
    if learn and len(used) > MOST_WORDS:
        raise too_many(source, name, f"{len(used):,} different texts", str(coded.dictionary[int(used[0])].as_py()))
    places = np.full(len(coded.dictionary) + 1, -1, np.int64)  # the last one is for code -1
    words = [coded.dictionary[int(code)].as_py() for code in used]
    kept = [code for code, value in zip(used, words, strict=True) if value is not None and not is_gap(word(value))]
    places[kept] = np.arange(len(kept))
    return merged(
        Texts(places[codes], [word(value) for value in words if value is not None and not is_gap(word(value))])
    )


def numbers(values: Any) -> NDArray[Any]:
    """A numeric column in its own dtype, in float64 with NaN where it has nulls; decimals in float64."""
    if not values.null_count and not is_decimal(values.type):
        return native(values.to_numpy())
    import pyarrow as pa

    if is_decimal(values.type):
        values = values.cast(pa.string())  # from which float64 is the nearest number, as it is from a CSV
    return np.asarray(values.cast(pa.float64()).to_numpy(), dtype=np.float64)


def is_numeric(kind: Any) -> bool:
    """Integers, floats, decimals and booleans."""
    from pyarrow import types

    return bool(types.is_integer(kind) or types.is_floating(kind) or types.is_boolean(kind) or is_decimal(kind))


def is_decimal(kind: Any) -> bool:
    """Decimals of any width."""
    from pyarrow import types

    return bool(types.is_decimal(kind))


def is_text(kind: Any) -> bool:
    """Texts of any layout."""
    from pyarrow import types

    return bool(types.is_string(kind) or types.is_large_string(kind) or types.is_string_view(kind))


def is_dictionary(kind: Any) -> bool:
    """A column that is declared to be one of categories."""
    from pyarrow import types

    return bool(types.is_dictionary(kind))


def is_date(kind: Any) -> bool:
    """Dates, times, durations."""
    from pyarrow import types

    return bool(types.is_temporal(kind))


def is_known(kind: Any) -> bool:
    """What a feature may be: numbers, texts, a dictionary of either, or nothing at all."""
    from pyarrow import types

    if types.is_dictionary(kind):
        return is_text(kind.value_type) or (is_numeric(kind.value_type) and not is_decimal(kind.value_type))
    return bool(is_numeric(kind) or is_text(kind) or types.is_null(kind))

"""CSV: every cell is a number, a word or a gap, or an error that says where; the target is what it looks like unless told."""

import csv
import io
from contextlib import suppress
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from chainrule.data import read
from chainrule.data.readers.csv_files import read_csv
from chainrule.errors import DataError


def written(tmp_path: Path, text: str, name: str = "table.csv", encoding: str = "utf-8") -> Path:
    path = tmp_path / name
    path.write_bytes(text.encode(encoding))
    return path


def refusal(path: Path, **options: object) -> str:
    with pytest.raises(DataError) as error:
        read(str(path), **options)
    return str(error.value).removeprefix(f"{path}: ")


def test_table(tmp_path: Path) -> None:
    data = read(str(written(tmp_path, "width,tall,kind\n1.5,true,b\n-2e3, FALSE ,a\n+.5,1,b\n")))
    assert data.X.tolist() == [[1.5, 1], [-2000, 0], [0.5, 1]]
    assert data.y.tolist() == [1, 0, 1]
    assert (data.task, data.target_names, data.feature_names) == ("classification", ("a", "b"), ("width", "tall"))
    assert (data.name, data.X.dtype, data.n_test) == ("table", np.float64, 0)


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig"])
@pytest.mark.parametrize("newline", ["\n", "\r\n"])
def test_bom_newlines_quotes_and_blank_lines(tmp_path: Path, encoding: str, newline: str) -> None:
    text = newline.join(["größe,class", "\"1\",'a,'", "", '2,"a,"', '3,"b""c"', ""]).replace("'", '"')
    data = read(str(written(tmp_path, text, encoding=encoding)))
    assert (data.feature_names, data.target_names) == (("größe",), ("a,", 'b"c'))


def test_tabs(tmp_path: Path) -> None:
    assert read(str(written(tmp_path, "a\tb\n1\t2\n3\t4\n", "table.tsv"))).X.tolist() == [[1], [3]]


def test_target_by_name(tmp_path: Path) -> None:
    data = read(str(written(tmp_path, "a,y,b\n1,2.5,3\n4,5.5,6\n")), target="y")
    assert (data.X.tolist(), data.y.tolist()) == ([[1, 3], [4, 6]], [2.5, 5.5])
    assert (data.feature_names, data.target_names, data.task) == (("a", "b"), ("y",), "regression")


@pytest.mark.parametrize(
    ("cells", "task", "values", "names"),
    [
        (["yes", "no", "yes"], "classification", [1, 0, 1], ("no", "yes")),
        (["true", "False", "TRUE"], "classification", [1, 0, 1], ("false", "true")),
        (["3", "10", "3"], "classification", [0, 1, 0], ("3", "10")),
        (["3.0", "10", "3"], "classification", [0, 1, 0], ("3", "10")),
        (["3.5", "10", "3"], "regression", [3.5, 10, 3], ("y",)),
        (["10", "9", "x"], "classification", [0, 1, 2], ("10", "9", "x")),
        (["none", "NA", "mild"], "classification", [2, 0, 1], ("NA", "mild", "none")),
        (["2019_01", "2019_02", "2019_01"], "classification", [0, 1, 0], ("2019_01", "2019_02")),
    ],
)
def test_what_the_target_is(tmp_path: Path, cells: list[str], task: str, values: list, names: tuple[str, ...]) -> None:
    data = read(str(written(tmp_path, "x,y\n" + "".join(f"1,{cell}\n" for cell in cells))))
    assert (data.task, data.y.tolist(), data.target_names) == (task, values, names)


def test_whole_numbers_are_quantities_when_many_differ_or_it_is_said(tmp_path: Path) -> None:
    path = str(written(tmp_path, "x,y\n" + "".join(f"1,{i}\n" for i in range(21))))
    assert read(path).task == "regression"
    assert read(path, task="classification").n_outputs == 21
    path = str(written(tmp_path, "x,y\n1,0\n2,1\n"))
    assert read(path).task == "classification"
    assert read(path, task="regression").task == "regression"


FILL = "Fill the gap, or remove the row or the column."
CORRECT_IT = "expected a finite number. Correct it, or remove the row or the column."
CELLS = "Write every cell, and quote those that hold a comma."
CHOOSE = "Choose another column as the target."
CORRECT = "Correct it, or name the column in data.categorical to take all its values as names of categories."
NUMBERS = "Make numbers of what may matter (days since a day, month, day of the week, hour) and remove the column."


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "is empty; expected a line of column names and a line for each row."),
        ("\ufeff", "is empty; expected a line of column names and a line for each row."),
        ("a,b\n", "has a header but no rows."),
        ("a,b\n\n\n", "has a header but no rows."),
        ("a\n1\n", "the only column is 'a'; expected features and a target."),
        ("a;b;c\n1;2;3\n", "the only column is 'a;b;c'; expected features and a target. Separate cells by commas, in a .tsv by tabs."),
        ("1,2.5\n3,4\n", "line 1 holds numbers, 1, 2.5; expected the names of the columns."),
        ("a,b,a\n1,2,3\n", "two columns are called 'a'. Rename or remove one of them."),
        (",a,b\n0,1,2\n", "column 1 has no name. Name it, or remove it if it is a row index."),
        ("a,b,c\n1,2,3\n4,5\n", f"line 3 has 2 cells but the header has 3. {CELLS}"),
        ("a,b\n1,2\n\n3,4,5\n", f"line 4 has 3 cells but the header has 2. {CELLS}"),
        ("a,b,c\n1,2,3\n4,red,5\n", f"line 3, column 'b': 'red' is no number, as the cells above it are. {CORRECT}"),
        ("a,b,c\n1,,3\n4,5,6\n1,red,5\n",
         f"line 4, column 'b': 'red' is no number, as the cells above it are. {CORRECT}"),
        ("a,b,c\n1,red,3\n,,0\n4,5,6\n",
         f"line 4, column 'b': '5' is a number, and the cells above it are texts. {CORRECT}"),
        ("a,b\n2020-01-31,1\n2020-02-01,2\n", f"column 'a' holds dates or times, such as '2020-01-31'. {NUMBERS}"),
        ("a,b\n1,2020-01-31\n2,2020-02-01\n", f"column 'b' holds dates or times, such as '2020-01-31'. {NUMBERS}"),
        ("a,b\n" + "".join(f"name {i},{i}\n" for i in range(30)),
         "column 'a' holds 30 different texts in 30 rows, such as 'name 0'; so many are an identifier or free text, of "
         "which there is nothing to learn. Remove it, or make columns of what in it matters."),
        ("a,b,c\n1,2,3\n4,-inf,5\n", f"line 3, column 'b': '-inf' is infinite; {CORRECT_IT}"),
        ("a,b,c\n1,2,3\n4,1e999,5\n", f"line 3, column 'b': '1e999' is infinite; {CORRECT_IT}"),
        ("a,b\n1_0,1\n2,2\n", f"line 3, column 'a': '2' is a number, and the cells above it are texts. {CORRECT}"),
        ("a,b\n1,1\n0x1F,2\n", f"line 3, column 'a': '0x1F' is no number, as the cells above it are. {CORRECT}"),
        (f"a,b\n1,1\n{'z' * 200},1\n",
         f"line 3, column 'a': '{'z' * 76}... is no number, as the cells above it are. {CORRECT}"),
        ("a,b\n1,2\n3,\n", f"line 3, column 'b': '' is no value. {FILL}"),
        ("a,b\n1,2\n3,NA\n", f"line 3, column 'b': 'NA' is no value. {FILL}"),
        ("a,b\n1,2\n3,inf\n", f"line 3, column 'b': 'inf' is infinite; {CORRECT_IT}"),
        ("a,b\n1,x\n3,\n", f"line 3, column 'b': '' is no value. {FILL}"),
        (f"a,b\n1,x\n3,{'z' * 1001}\n", f"target 'b' has a text of 1,001 characters; expected at most 1,000. {CHOOSE}"),
        ("a,b\n" + "".join(f"1,name {i}\n" for i in range(30)),
         f"b holds 30 different texts in 30 rows, such as 'name 0'; that is no class label. {CHOOSE}"),
        ('a,b\n1,"' + "x" * 200_000 + '"\n',
         "cannot be read as CSV: field larger than field limit (131072). Save it again."),
    ],
)  # fmt: skip
def test_refused(tmp_path: Path, text: str, message: str) -> None:
    assert refusal(written(tmp_path, text)) == message


def test_huge_but_finite_numbers_are_numbers(tmp_path: Path) -> None:
    assert read(str(written(tmp_path, "a,b,c\n1e308,1e308,0\n1,2,1\n"))).X[0].tolist() == [1e308, 1e308]


def test_one_class_is_read_and_can_be_judged_by(tmp_path: Path) -> None:
    assert read(str(written(tmp_path, "a,b\n1,x\n2,x\n"))).target_names == ("x",)


def test_unknown_target(tmp_path: Path) -> None:
    path = written(tmp_path, "length,width,kind\n1,2,a\n2,3,b\n")
    assert refusal(path, target="widht") == "there is no column 'widht'; did you mean 'width'?"
    assert refusal(path, target="zzz") == "there is no column 'zzz'; its columns are length, width, kind"
    assert refusal(path, task="regression") == "kind is text, such as 'a', but regression needs numbers."


def test_not_utf8(tmp_path: Path) -> None:
    path = written(tmp_path, "größe,b\n1,2\n", encoding="latin1")
    assert refusal(path) == "is not UTF-8 (invalid start byte, byte 2). Save it as UTF-8."


def test_formulas_are_texts(tmp_path: Path) -> None:
    assert read(str(written(tmp_path, "a,b\n=1+1,2\n=1+1,3\n"))).categories == (("=1+1",),)


def test_words_and_gaps(tmp_path: Path) -> None:
    data = read(str(written(tmp_path, "a,b,c,y\n1,red,true,1\n,NA,?,2\nnan, blue ,FALSE,3\n3,red,none,4\n")))
    assert data.categories == (None, ("blue", "red"), None)
    np.testing.assert_array_equal(data.X, [[1, 1, 1], [np.nan] * 3, [np.nan, 0, 0], [3, 1, np.nan]])


def test_numbers_that_are_names(tmp_path: Path) -> None:
    path = written(tmp_path, "zip,model,y\n01234,320,1\n1234,Corolla,2\n,911,3\n")
    data = read(str(path), categorical=("zip", "model"))
    assert data.categories == (("01234", "1234"), ("320", "911", "Corolla"))
    np.testing.assert_array_equal(data.X, [[0, 0], [1, 2], [np.nan, 1]])
    assert data.origin is not None
    assert data.origin.categorical == ("zip", "model")


def test_the_codes_do_not_depend_on_the_order_of_the_rows(tmp_path: Path) -> None:
    one = read(str(written(tmp_path, "a,y\nx,1\nb,2\n")))
    other = read(str(written(tmp_path, "a,y\nb,2\nx,1\n")))
    assert one.categories == other.categories == (("b", "x"),)
    assert one.X[::-1].tolist() == other.X.tolist()


def test_a_table_of_numbers_without_gaps_is_as_before(tmp_path: Path) -> None:
    data = read(str(written(tmp_path, "a,b,y\n1,2,0\n3,4,1\n")))
    assert (data.categories, data.told) == ((), "'y' holds 2 different whole numbers, at most 20")


def test_far_too_many_words_are_refused_before_all_are_read(tmp_path: Path) -> None:
    path = written(tmp_path, "a,y\n" + "".join(f"w{i},1\n" for i in range(66_000)) + "broken\n")
    assert refusal(path).startswith("column 'a' holds more than 65,000 different texts, such as 'w65000'")


@settings(max_examples=80, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.tuples(st.floats(allow_nan=False, allow_infinity=False), st.floats(0, 1)), min_size=2, max_size=9))
def test_numbers_come_back_exactly(tmp_path: Path, rows: list[tuple[float, float]]) -> None:
    text = io.StringIO()
    csv.writer(text).writerows([("a", "b"), *rows])
    data = read_csv(written(tmp_path, text.getvalue()), task="regression")
    assert [(a, b) for (a,), b in zip(data.X.tolist(), data.y.tolist(), strict=True)] == rows


@settings(max_examples=200, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.one_of(st.text(st.sampled_from('a1,"\n\r. \0-e'), max_size=40).map(str.encode), st.binary(max_size=40)))
def test_noise_is_read_or_refused(tmp_path: Path, noise: bytes) -> None:
    path = tmp_path / "noise.csv"
    path.write_bytes(b"a,b\n1,2\n" + noise)
    with suppress(DataError):
        read_csv(path)

"""The reader of CIFAR's pickles reads all that CIFAR's authors and re-dumps write, and runs nothing."""

import os
import pickle
import pickletools
import struct
import subprocess
import time
import tracemalloc
from contextlib import suppress
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from chainrule.data.readers.unpickle import read_pickle
from chainrule.errors import DataError
from data import official_pickle as official

PIXELS = np.arange(256, dtype=np.uint8).reshape(4, 64)
BATCH = {
    "batch_label": "training batch 1 of 5",
    "labels": [6, 9, 0, 3],
    "data": PIXELS,
    "filenames": ["a.png", "b.png"],
}


def written(tmp_path: Path, program: bytes) -> Path:
    path = tmp_path / "batch"
    path.write_bytes(program)
    return path


def refusal(tmp_path: Path, program: bytes, at_most: int = 10**6) -> str:
    path = written(tmp_path, program)
    with pytest.raises(DataError) as error:
        read_pickle(path, at_most)
    message = str(error.value)
    assert message.startswith(f"{path}: ")
    return message.removeprefix(f"{path}: ")


def assert_is_batch(found: dict[str, object]) -> None:
    assert found.keys() == BATCH.keys()
    for key, value in BATCH.items():
        np.testing.assert_array_equal(found[key], value)
    assert found["data"].dtype == np.uint8


def test_official_python_2_batch(tmp_path: Path) -> None:
    program = official.dictionary(BATCH)
    names = [(opcode.name, argument) for opcode, argument, _ in pickletools.genops(program)]
    assert {argument for name, argument in names if name == "GLOBAL"} == {
        "numpy.core.multiarray _reconstruct",
        "numpy ndarray",
        "numpy dtype",
    }
    assert ("BINSTRING", PIXELS.tobytes().decode("latin1")) in names
    assert_is_batch(read_pickle(written(tmp_path, program), 10**6))


def test_official_batch_is_what_numpy_reads(tmp_path: Path) -> None:
    """The writer of these tests writes true pickles."""
    np.testing.assert_array_equal(pickle.loads(official.dictionary(BATCH), encoding="latin1")["data"], PIXELS)


def test_official_batch_without_the_state_of_its_dtype(tmp_path: Path) -> None:
    program = b"\x80\x02}" + official.short("data") + official.array(PIXELS, official.Memo(), dtype_state=False) + b"s."
    np.testing.assert_array_equal(read_pickle(written(tmp_path, program), 10**6)["data"], PIXELS)


@pytest.mark.parametrize("protocol", range(2, pickle.HIGHEST_PROTOCOL + 1))
@pytest.mark.parametrize("order", ["C", "F"])
def test_redump_by_python_3(tmp_path: Path, protocol: int, order: str) -> None:
    assert_is_batch(
        read_pickle(written(tmp_path, pickle.dumps({**BATCH, "data": PIXELS.copy(order)}, protocol)), 10**6)
    )
    as_bytes = {key.encode(): value for key, value in BATCH.items()} | {b"filenames": [b"a.png", b"b.png"]}
    assert_is_batch(read_pickle(written(tmp_path, pickle.dumps(as_bytes, protocol)), 10**6))


@pytest.mark.parametrize("protocol", [2, 3, 4])
def test_redump_under_numpy_1_names(tmp_path: Path, protocol: int) -> None:
    program = pickle.dumps(BATCH, protocol)
    old = program.replace(b"numpy._core.multiarray", b"numpy.core.multiarray")
    if protocol == 4:  # a short text says its length, and so does the frame
        old = old.replace(b"\x8c\x16numpy.core", b"\x8c\x15numpy.core")
    assert b"_core" not in old
    assert_is_batch(read_pickle(written(tmp_path, old), 10**6))


class Runs:
    def __init__(self, function: object, *arguments: object) -> None:
        self.call = (function, arguments)

    def __reduce__(self) -> tuple[object, tuple[object, ...]]:
        return self.call


class Builds:
    def __reduce__(self) -> tuple[object, ...]:
        return np.dtype, ("u1", False, True), {"alignment": 8}


CANARIES = {
    "os.system": lambda canary: Runs(os.system, f"touch {canary}"),
    "eval": lambda canary: Runs(eval, f"open({str(canary)!r}, 'w').close()"),
    "exec": lambda canary: Runs(exec, f"open({str(canary)!r}, 'w').close()"),
    "open": lambda canary: Runs(open, str(canary), "w"),
    "getattr": lambda canary: Runs(getattr, Runs(getattr, canary, "touch"), "__call__"),
    "Popen": lambda canary: Runs(subprocess.Popen, ["touch", str(canary)]),
    "np.load": lambda canary: Runs(np.load, str(canary)),
    "in a list": lambda canary: [1, Runs(os.system, f"touch {canary}")],
    "in the keys' values": lambda canary: {"data": {"x": Runs(os.system, f"touch {canary}")}},
}


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
@pytest.mark.parametrize("attack", CANARIES)
def test_nothing_in_the_file_runs(tmp_path: Path, attack: str, protocol: int) -> None:
    canary = tmp_path / "canary"
    program = pickle.dumps({"data": PIXELS, "labels": CANARIES[attack](canary)}, protocol)
    message = refusal(tmp_path, program)
    assert message.startswith("refused at byte ")
    assert "nothing in it was run" in message
    assert not canary.exists()


def test_message_says_what_and_where(tmp_path: Path) -> None:
    assert refusal(tmp_path, b"\x80\x02cos\nsystem\nU\x02id\x85R.") == (
        "refused at byte 2: GLOBAL names 'os system'. Expected the pickle of a CIFAR batch; nothing in it was run. "
        "Get the file again, or use the binary layout."
    )


MULTIARRAY = b"cnumpy.core.multiarray\n_reconstruct\n"
DTYPE = b"cnumpy\ndtype\nU\x02u1K\x00K\x01\x87R"
EMPTY = MULTIARRAY + b"cnumpy\nndarray\nK\x00\x85U\x01b\x87R"

REFUSED = {
    "another subtype of array": (
        MULTIARRAY + b"cnumpy\ndtype\nK\x00\x85U\x01b\x87R",
        "calls RECONSTRUCT in an unknown",
    ),
    "object dtype": (b"cnumpy\ndtype\nU\x01OK\x00K\x01\x87R", "calls DTYPE in an unknown way"),
    "other dtype": (b"cnumpy\ndtype\nU\x02i8K\x00K\x01\x87R", "calls DTYPE in an unknown way"),
    "calling an array class": (b"cnumpy\nndarray\nK\x05\x85R", "calls NDARRAY in an unknown way"),
    "calling what a call gave": (DTYPE + b"K\x00\x85R", "calls Uint8 in an unknown way"),
    "calling a text": (b"U\x02ab)R", "calls str in an unknown way"),
    "arguments that are no tuple": (b"cnumpy\ndtype\n]R", "expects tuple, got list"),
    "state of a list": (b"](K\x01tb", "sets the state of a list in an unknown way"),
    "state of a global": (b"cnumpy\ndtype\n}b", "sets the state of a Word in an unknown way"),
    "state of a function": (MULTIARRAY + b"(K\x01tb", "sets the state of a Word in an unknown way"),
    "state that is a dictionary": (EMPTY + b"}b", "sets the state of a Array in an unknown way"),
    "state twice": (
        EMPTY + 2 * (b"(K\x01K\x02\x85" + DTYPE + b"\x89U\x02abtb"),
        "sets the state of a Array in an unknown",
    ),
    "two arrays": (EMPTY + EMPTY, "calls RECONSTRUCT in an unknown way, or again"),
    "too few bytes": (
        EMPTY + b"(K\x01K\x05K\x05\x86" + DTYPE + b"\x89U\x02abtb",
        "gives 2 bytes to an array of another",
    ),
    "a negative shape": (EMPTY + b"(K\x01J\xff\xff\xff\xffJ\xfe\xff\xff\xff\x86" + DTYPE + b"\x89U\x02abtb", "BUILD"),
    "a text as shape": (EMPTY + b"(K\x01U\x02ab\x85" + DTYPE + b"\x89U\x02abtb", "expects int, got str"),
    "codecs of another name": (b"c_codecs\nencode\nX\x02\x00\x00\x00abX\x03\x00\x00\x00hex\x86R", "calls ENCODE"),
    "decode": (b"c_codecs\ndecode\n", "names '_codecs decode'"),
    "a global by texts": (b"\x8c\x02os\x8c\x06system\x93", "STACK_GLOBAL names 'os system'"),
    "an extension": (b"\x82\x01", "EXT1 is no instruction of such a file"),
    "a persistent object": (b"U\x01aQ", "BINPERSID is no instruction"),
    "an object of a class": (b"cnumpy\nndarray\n)\x81", "NEWOBJ is no instruction"),
    "an instance": (b"(ios\nsystem\n", "INST is no instruction"),
    "an out-of-band buffer": (b"\x97", "NEXT_BUFFER is no instruction"),
    "a quoted text": (b"S'\\d'\n", "STRING"),
    "pop": (b"K\x010", "POP is no instruction"),
    "nothing on the stack": (b"R", "REDUCE takes what is not there"),
    "a mark that is missing": (b"K\x01t", "TUPLE takes what is not there"),
    "a mark as argument": (b"(R", "REDUCE takes what is not there"),
    "a memo that is missing": (b"j\xff\xff\xff\x7f", "LONG_BINGET takes what is not there"),
    "appending to a tuple": (b")K\x01a", "expects list, got tuple"),
    "items of a list": (b"]K\x01K\x02s", "expects dict, got list"),
    "a number as key": (b"}K\x01K\x02s", "expects str, got int"),
    "a key without value": (b"}(U\x01au", "SETITEMS"),
    "no dictionary": (b"]", "expects dict, got list"),
    "an empty file": (b"", "pickle exhausted"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_refused(tmp_path: Path, case: str) -> None:
    body, expected = REFUSED[case]
    program = b"\x80\x02" + body + b"." if body else b""
    assert expected in refusal(tmp_path, program)


def test_numpy_array_of_objects_is_refused(tmp_path: Path) -> None:
    canary = tmp_path / "canary"
    hostile = np.array([Runs(os.system, f"touch {canary}")], dtype=object)
    assert "refused at byte" in refusal(tmp_path, pickle.dumps({"data": hostile}, 2))
    assert not canary.exists()


def test_states_that_would_change_other_things_change_nothing(tmp_path: Path) -> None:
    refusal(tmp_path, pickle.dumps({"data": Builds()}, 2))
    assert not hasattr(np.dtype("u1"), "__dict__")


@pytest.mark.parametrize(
    "promise",
    [
        b"T\xff\xff\xff\x7f",  # a text of 2 GiB
        b"\x8e" + struct.pack("<Q", 2**62),  # bytes of 4 EiB
        b"\x96" + struct.pack("<Q", 2**40),
        b"\x8d" + struct.pack("<Q", 2**63 + 1),
        b"r\xff\xff\xff\xff",  # for which pickle's memo would take 64 GiB
        b"K\x01r\xff\xff\xff\xff",
        b"\x8b\xff\xff\xff\x7f",
    ],
)
def test_huge_promises_take_no_memory(tmp_path: Path, promise: bytes) -> None:
    tracemalloc.start()
    try:
        refusal(tmp_path, b"\x80\x02" + promise + b".")
        assert tracemalloc.get_traced_memory()[1] < 10**7
    finally:
        tracemalloc.stop()


def test_loops_over_one_big_text_take_no_memory(tmp_path: Path) -> None:
    big = b"X" + struct.pack("<I", 10**6) + b"a" * 10**6 + b"q\x00X\x06\x00\x00\x00latin1q\x01"
    copies = b"(" + b"c_codecs\nencode\nh\x00h\x01\x86R" * 10_000 + b"t."
    tracemalloc.start()
    try:
        refusal(tmp_path, b"\x80\x02" + big + copies, at_most=10**7)
        assert tracemalloc.get_traced_memory()[1] < 3 * 10**7
    finally:
        tracemalloc.stop()


def test_tuples_of_tuples_of_tuples_end_quickly(tmp_path: Path) -> None:
    """2**60 leaves for whoever hashes, compares or prints them."""
    nested = b")" + b"q\x00h\x00\x86" * 60
    assert "expects str, got tuple" in refusal(tmp_path, b"\x80\x02}" + nested + b"K\x01s.")
    assert "unknown way" in refusal(tmp_path, b"\x80\x02cnumpy\ndtype\n" + nested + b"K\x00K\x01\x87R.")
    assert "unknown way" in refusal(tmp_path, b"\x80\x02" + DTYPE + nested + b"K\x00\x86R.")


def test_shape_of_many_axes_ends_quickly(tmp_path: Path) -> None:
    """The product of so many numbers alone would take half a minute."""
    shape = b"(" + b"J\xff\xff\xff\x7f" * 200_000 + b"t"
    start = time.perf_counter()
    message = refusal(tmp_path, b"\x80\x02" + EMPTY + b"(K\x01" + shape + DTYPE + b"\x89U\x01atb.", 10**7)
    assert "gives 1 bytes to an array of another size" in message
    assert time.perf_counter() - start < 5


def test_too_many_instructions(tmp_path: Path) -> None:
    assert "is past the 1,000,000 instructions" in refusal(tmp_path, b"\x80\x02" + b"N" * 1_100_000 + b".", 10**7)


def test_file_larger_than_allowed(tmp_path: Path) -> None:
    assert refusal(tmp_path, bytes(101), at_most=100).startswith("holds more than 100 bytes")


def test_list_that_holds_itself(tmp_path: Path) -> None:
    found = read_pickle(written(tmp_path, b"\x80\x02}U\x01a]q\x00h\x00as."), 100)
    assert found["a"][0] is found["a"]


@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    changes=st.lists(st.tuples(st.integers(0, 10_000), st.integers(0, 255)), min_size=1, max_size=6), cut=st.booleans()
)
def test_damaged_files_are_read_or_refused(tmp_path: Path, changes: list[tuple[int, int]], cut: bool) -> None:
    program = bytearray(official.dictionary(BATCH))
    for place, value in changes:
        program[place % len(program)] = value
    path = written(tmp_path, bytes(program[: changes[0][0] % len(program)] if cut else program))
    with suppress(DataError):
        read_pickle(path, 10**6)


@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.binary(max_size=40))
def test_noise_is_refused(tmp_path: Path, noise: bytes) -> None:
    path = written(tmp_path, b"\x80\x02" + noise)
    try:
        found = read_pickle(path, 10**6)
    except DataError:
        return
    assert isinstance(found, dict)

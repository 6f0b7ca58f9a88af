"""Arrays for the fuzzer: CIFAR, IDX, npy and npz."""

import gzip
import io
import pickle
import random
import struct
import zipfile
import zlib
from dataclasses import replace

import numpy as np

from chainrule.data.readers import cifar
from faults.fuzz_target import Mutate, Target, alone, among, source


def cifar_binary() -> Target:
    layout = replace(cifar.CIFAR10, files={"data_batch_1": 2, "test_batch": 1})
    names = "\n".join(f"c{i}" for i in range(10)).encode()
    files = {"batches.meta.txt": names, "data_batch_1.bin": bytes(2 * 3073), "test_batch.bin": b"\1" + bytes(3072)}
    target = among(files, lambda folder: cifar.read_layout(folder, layout))
    return replace(target, seeds=[*target.seeds, b"\0" + gzip.compress(names)])


def cifar_python() -> Target:
    layout = replace(cifar.CIFAR10, files={"data_batch_1": 2, "test_batch": 1})
    batches = {n: {"data": np.zeros((n, 3072), np.uint8), "labels": list(range(n)), "filenames": ["a"] * n}
               for n in (1, 2)}  # fmt: skip
    names = {"label_names": [f"c{i}" for i in range(10)]}
    files = {"batches.meta": pickle.dumps(names, 2), "data_batch_1": pickle.dumps(batches[2], 2),
             "test_batch": pickle.dumps(batches[1], 2)}  # fmt: skip
    target = among(files, lambda folder: cifar.read_layout(folder, layout))
    more = [b"\1" + pickle.dumps(batches[2], protocol) for protocol in (0, 3, 4, 5)]
    words = (
        b"cnumpy\nndarray\n",
        b"cos\nsystem\n",
        b"\x93",
        b"R",
        b"b",
        b"q\x01",
        b"h\x01",
        b"U\x02u1",
        b"(",
        b"t",
        b".",
    )
    return replace(target, seeds=[*target.seeds, *more], words=words)


def _idx_files(packed: bool) -> dict[str, bytes]:
    arrays = {"images-idx3": b"\0\0\x08\x03" + struct.pack(">III", 2, 2, 2) + bytes(8),
              "labels-idx1": b"\0\0\x08\x01" + struct.pack(">I", 2) + b"\0\1"}  # fmt: skip
    suffix = "-ubyte.gz" if packed else "-ubyte"
    return {f"{part}-{kind}{suffix}": gzip.compress(content) if packed else content
            for part in ("train", "t10k") for kind, content in arrays.items()}  # fmt: skip


def idx() -> Target:
    return replace(among(_idx_files(packed=False), source), words=tuple(bytes([0, 0, t, 1]) for t in (8, 11, 13, 14)))


def idx_gz() -> Target:
    return replace(among(_idx_files(packed=True), source), repack=_regzip)


def _regzip(data: bytes, mutate: Mutate, draw: random.Random) -> bytes:
    inner = zlib.decompressobj(31).decompress(data[1:], 2**20)
    return data[:1] + gzip.compress(mutate(inner, len(inner) + 64), draw.choice((0, 9)))


def _npy(array: np.ndarray) -> bytes:
    out = io.BytesIO()
    np.save(out, array)
    return out.getvalue()


def npy() -> Target:
    files = {"X.npy": _npy(np.eye(3)), "y.npy": _npy(np.arange(3)), "x_test.npy": _npy(np.eye(3)),
             "y_test.npy": _npy(np.arange(3))}  # fmt: skip
    target = among(files, source)
    more = [b"\1" + _npy(np.array(y)) for y in (["a", "b", "c"], [b"a", b"b", b"c"], [0.5, 1, 2], [True, False, True])]
    words = (b"'descr': '<f8'", b"'fortran_order': True", b"'shape': (3,)", b"|O", b">f2", b"<U9", b"<i8", b"(0, 9)")
    return replace(target, seeds=[*target.seeds, *more], words=words)


def _zip(members: dict[str, bytes], method: int = zipfile.ZIP_DEFLATED) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", method) as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    return out.getvalue()


def _rezip(data: bytes, mutate: Mutate, draw: random.Random) -> bytes:
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        members = {info.filename: archive.open(info).read(2**16) for info in archive.infolist()[:8]}
    name = draw.choice(list(members))
    if draw.random() < 0.1:
        changed = mutate(name.encode(), 40).decode("latin1")
        members = {changed if each == name else each: content for each, content in members.items()}
    else:
        members[name] = mutate(members[name], len(members[name]) + 64)
    return _zip(members, draw.choice((zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)))


def npz() -> Target:
    arrays = {"X.npy": _npy(np.eye(3)), "y.npy": _npy(np.arange(3))}
    more = arrays | {"weight.npy": _npy(np.ones(3)), "target_names.npy": _npy(np.array(["a", "b", "c"]))}
    keras = {f"{name}.npy": _npy(np.zeros((2, 2, 2)) if name[0] == "x" else np.arange(2))
             for name in ("x_train", "y_train", "x_test", "y_test")}  # fmt: skip
    seeds = [_zip(arrays), _zip(more), _zip(keras), _zip(arrays, zipfile.ZIP_STORED)]
    return alone("rows.npz", seeds, source, words=(b"PK\1\2", b"PK\3\4", b"PK\5\6", b"PK\6\6"), repack=_rezip)

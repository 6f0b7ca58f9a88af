"""Hostile CIFAR batches, IDX files and NumPy arrays."""

import gzip
import lzma
import os
import pickle
import struct
import zipfile
from pathlib import Path

import numpy as np

from faults.cases import Arguments, Touches, collector, info

CASES, case = collector()
MIB = 2**20


def cifar_python(root: Path, file: str, content: bytes) -> Arguments:
    """CIFAR-10 in the Python layout, of which only `file` is hostile and what is read before it is sound."""
    folder = root / "cifar-10-batches-py"
    folder.mkdir()
    names = [f"class {i}" for i in range(10)]
    (folder / "batches.meta").write_bytes(pickle.dumps({"label_names": names}, 2))
    for name in [*(f"data_batch_{i}" for i in range(1, 6)), "test_batch"]:
        (folder / name).write_bytes(b"")
    (folder / file).write_bytes(content)
    return info(folder)


def gzipped(pieces: list[bytes], repeats: int = 1) -> bytes:
    """A gzip of the first piece, then of the second so many times over, in no more memory than one of them."""
    packer = gzip.zlib.compressobj(1, gzip.zlib.DEFLATED, 31)
    packed = [packer.compress(pieces[0])]
    for _ in range(repeats if len(pieces) > 1 else 0):
        packed.append(packer.compress(pieces[1]))
    return b"".join([*packed, packer.flush()])


@case("cifar: a batch that calls os.system", "names 'posix system'")
def _(root: Path) -> Arguments:
    return cifar_python(root, "data_batch_1", pickle.dumps({"data": Touches()}, 2))


@case("cifar: a batch of protocol 5 that calls os.system", "names 'posix system'")
def _(root: Path) -> Arguments:
    return cifar_python(root, "data_batch_1", pickle.dumps({"data": Touches()}, 5))


@case("cifar: class names that call os.system", "nothing in it was run")
def _(root: Path) -> Arguments:
    return cifar_python(root, "batches.meta", pickle.dumps({"label_names": [Touches()]}, 2))


@case("cifar: an array of objects", "refused at byte")
def _(root: Path) -> Arguments:
    return cifar_python(root, "data_batch_1", pickle.dumps({"data": np.array([Touches()], object)}, 2))


@case("cifar: an import path in a global", "names 'canary_module Layer'")
def _(root: Path) -> Arguments:
    (root / "canary_module.py").write_text("open('canary', 'w').close()\nclass Layer: pass\n")
    return cifar_python(root, "data_batch_1", b"\x80\x02ccanary_module\nLayer\n)\x81.")


@case("cifar: a memo of 64 GiB", "'data' is nothing")
def _(root: Path) -> Arguments:
    return cifar_python(root, "data_batch_1", b"\x80\x02}r\xff\xff\xff\xff.")


@case("cifar: a text of 4 EiB", "refused at")
def _(root: Path) -> Arguments:
    return cifar_python(root, "data_batch_1", b"\x80\x04\x8d" + struct.pack("<Q", 2**62) + b"x.")


@case("cifar: a text that takes four bytes for each of its own", "refused at byte")
def _(root: Path) -> Arguments:
    text = "\U0001f600".encode() + b"a" * (60 * MIB)
    return cifar_python(root, "data_batch_1", b"\x80\x02X" + struct.pack("<I", len(text)) + text + b".")


@case("cifar: a gzip bomb in place of a batch", "holds more than 64,065,536 bytes")
def _(root: Path) -> Arguments:
    return cifar_python(root, "data_batch_1", gzipped([b"\x80\x02", bytes(MIB)], 1024))


@case("cifar 100: a gzip bomb in place of a batch", "would unpack to more than")
def _(root: Path) -> Arguments:
    folder = root / "cifar-100-python"
    folder.mkdir()
    names = [f"class {i}" for i in range(100)]
    (folder / "meta").write_bytes(pickle.dumps({"fine_label_names": names}, 2))
    (folder / "test").write_bytes(b"")
    (folder / "train").write_bytes(gzipped([b"\x80\x02", bytes(MIB)], 1024))
    return info(folder)


@case("cifar 100: a batch of a gigabyte of holes", "holds more than")
def _(root: Path) -> Arguments:
    folder = root / "cifar-100-python"
    folder.mkdir()
    (folder / "meta").write_bytes(pickle.dumps({"fine_label_names": [f"class {i}" for i in range(100)]}, 2))
    (folder / "test").write_bytes(b"")
    with (folder / "train").open("wb") as file:
        file.truncate(2**30)
    return info(folder)


def cifar_binary(root: Path) -> Path:
    folder = root / "cifar-10-batches-bin"
    folder.mkdir()
    (folder / "batches.meta.txt").write_text("\n".join(f"class_{i}" for i in range(10)))
    for name in [*(f"data_batch_{i}" for i in range(1, 6)), "test_batch"]:
        with (folder / f"{name}.bin").open("wb") as file:
            file.truncate(30_730_000)
    return folder


@case("cifar: a binary batch of 8 TiB", "expected exactly 30,730,000")
def _(root: Path) -> Arguments:
    folder = cifar_binary(root)
    with (folder / "data_batch_3.bin").open("wb") as file:
        file.truncate(2**43)
    return info(folder)


@case("cifar: a pipe in place of a binary batch", "this file of the set is missing")
def _(root: Path) -> Arguments:
    folder = cifar_binary(root)
    (folder / "data_batch_3.bin").unlink()
    os.mkfifo(folder / "data_batch_3.bin")
    return info(folder)


@case("cifar: class names that unpack to a gigabyte", "more than 65,536 bytes")
def _(root: Path) -> Arguments:
    folder = cifar_binary(root)
    (folder / "batches.meta.txt").write_bytes(gzipped([b"a\n", bytes(MIB)], 1024))
    return info(folder)


def idx(shape: tuple[int, ...], code: int = 8) -> bytes:
    return bytes([0, 0, code, len(shape)]) + struct.pack(f">{len(shape)}I", *shape)


def idx_set(root: Path, images: bytes, labels: bytes, suffix: str = "") -> Arguments:
    folder = root / "set"
    folder.mkdir()
    (folder / f"train-images-idx3-ubyte{suffix}").write_bytes(images)
    (folder / f"train-labels-idx1-ubyte{suffix}").write_bytes(labels)
    return info(folder)


@case("idx: a header of 2^64 pixels", "18,446,744,065,119,617,025 bytes, but it holds only")
def _(root: Path) -> Arguments:
    return idx_set(root, idx((2**32 - 1, 2**32 - 1)) + bytes(99), idx((2,)) + bytes(2))


@case("idx: a header whose product overflows to 0", "bytes, but it holds only")
def _(root: Path) -> Arguments:
    return idx_set(root, idx((2**32 - 1, 2**31, 2**31, 2), 14), idx((2,)) + bytes(2))


@case("idx: four thousand million images without pixels", "holds only")
def _(root: Path) -> Arguments:
    return idx_set(root, idx((2**32 - 1, 0, 0)), idx((2**32 - 1,)))


@case("idx: a gzip bomb that its header announces", "would unpack to")
def _(root: Path) -> Arguments:
    images = gzipped([idx((1024, 1024, 1024)), bytes(MIB)], 1024)
    return idx_set(root, images, gzip.compress(idx((1024,)) + bytes(1024)), ".gz")


@case("idx: a gzip bomb that its header hides", "but it holds more")
def _(root: Path) -> Arguments:
    images = gzipped([idx((2, 2, 2)), bytes(MIB)], 1024)
    return idx_set(root, images, gzip.compress(idx((2,)) + bytes(2)), ".gz")


@case("idx: labels that would take eight times their size, and more", "would unpack to")
def _(root: Path) -> Arguments:
    n = 60 * MIB
    return idx_set(root, gzipped([idx((n, 1)), bytes(MIB)], 60), gzipped([idx((n,)), bytes(MIB)], 60), ".gz")


@case("idx: a pipe in place of the images", "nothing in it is known")
def _(root: Path) -> Arguments:
    arguments = idx_set(root, b"", idx((2,)) + bytes(2))
    (root / "set" / "train-images-idx3-ubyte").unlink()
    os.mkfifo(root / "set" / "train-images-idx3-ubyte")
    return arguments


def npy_header(text: str) -> bytes:
    return b"\x93NUMPY\x01\x00" + struct.pack("<H", len(text)) + text.encode()


def npy_header_of(shape: tuple[int, ...], dtype: str = "|u1") -> bytes:
    return npy_header(repr({"descr": dtype, "fortran_order": False, "shape": shape}))


def npy(root: Path, content: bytes) -> Arguments:
    folder = root / "set"
    folder.mkdir()
    (folder / "X.npy").write_bytes(content)
    np.save(folder / "y.npy", np.arange(2))
    return info(folder)


@case("npy: an array of objects", "which only unpickling reads")
def _(root: Path) -> Arguments:
    path = root / "object.npy"
    np.save(path, np.array([[Touches()], [Touches()]], object))
    return npy(root, path.read_bytes())


@case("npy: a pickle", "its header is no .npy header")
def _(root: Path) -> Arguments:
    return npy(root, pickle.dumps(Touches()))


@case("npy: a header that is code", "its header is no .npy header")
def _(root: Path) -> Arguments:
    return npy(root, npy_header("__import__('os').system('touch canary')"))


@case("npy: a header of an exabyte", "its header promises shape")
def _(root: Path) -> Arguments:
    return npy(root, npy_header_of((2**30, 2**30)))


@case("npy: a header nested ten thousand deep", "its header is no .npy header")
def _(root: Path) -> Arguments:
    return npy(root, npy_header("(" * 10_000))


@case("npy: a shape too large for NumPy that holds nothing", "and shape")
def _(root: Path) -> Arguments:
    return npy(root, npy_header_of((0, 2**62, 2**62)))


@case("npy: a shape of a hundred axes", "and shape")
def _(root: Path) -> Arguments:
    return npy(root, npy_header_of((1,) * 100) + b"\0")


def npz(root: Path, members: dict[str, bytes], method: int = zipfile.ZIP_DEFLATED) -> Arguments:
    """A zip of members, each of them `bytes` and then, for the sizes in their headers, nothing but zeros."""
    path = root / "rows.npz"
    with zipfile.ZipFile(path, "w", method, compresslevel=1) as archive:
        for name, start in members.items():
            shape, _, head = start.partition(b"|")
            with archive.open(name, "w") as file:
                file.write(head)
                for _ in range(int(shape) // MIB):
                    file.write(bytes(MIB))
                file.write(bytes(int(shape) % MIB))
    return info(path)


def zeros(*shape: int) -> bytes:
    return str(int(np.prod(shape))).encode() + b"|" + npy_header_of(shape)


@case("npz: a zip bomb", "would unpack to")
def _(root: Path) -> Arguments:
    return npz(root, {"X.npy": zeros(1024, MIB), "y.npy": zeros(1024)})


@case("npz: a zip bomb in four parts, each of them small enough", "would unpack to")
def _(root: Path) -> Arguments:
    n = 50 * MIB
    return npz(root, {f"{name}.npy": zeros(2, n // 2) for name in ("x_train", "x_test", "y_train", "y_test")})


@case("npz: small labels that would become large ones", "would unpack to")
def _(root: Path) -> Arguments:
    return npz(root, {"X.npy": zeros(50 * MIB, 1), "y.npy": zeros(50 * MIB)})


@case("npz: an LZMA stream with a dictionary of 4 GiB", "is packed in a way that numpy.savez does not write")
def _(root: Path) -> Arguments:
    arguments = npz(root, {"X.npy": zeros(2, 3), "y.npy": zeros(2)}, zipfile.ZIP_LZMA)
    path = root / "rows.npz"
    content = path.read_bytes()
    size = lzma._encode_filter_properties({"id": lzma.FILTER_LZMA1})[1:]
    assert size in content
    path.write_bytes(content.replace(size, b"\xff\xff\xff\xff"))
    return arguments


@case("npz: members that lead elsewhere", "found none of them")
def _(root: Path) -> Arguments:
    return npz(root, {"../X.npy": zeros(2, 2), "/etc/y.npy": zeros(2), "C:\\y.npy": zeros(2)})


@case("npz: an encrypted member", "cannot be read")
def _(root: Path) -> Arguments:
    arguments = npz(root, {"X.npy": zeros(2, 2), "y.npy": zeros(2)})
    content = bytearray((root / "rows.npz").read_bytes())
    for mark, place in ((b"PK\x03\x04", 6), (b"PK\x01\x02", 8)):
        content[content.index(mark) + place] |= 1
    (root / "rows.npz").write_bytes(content)
    return arguments


@case("npz: three hundred thousand members", "cannot be read: it asks for")
def _(root: Path) -> Arguments:
    entry = b"PK\x01\x02" + struct.pack("<HHHHHHIIIHHHHHII", 20, 20, 0, 0, 0, 0, 0, 0, 0, 6, 0, 0, 0, 0, 0, 0)
    n = 300_000
    listed = b"".join(entry + b"%06d" % i for i in range(n))
    end = b"PK\x05\x06" + struct.pack("<HHHHIIH", 0, 0, 65535, 65535, len(listed), 0, 0)
    (root / "rows.npz").write_bytes(listed + end)
    return info(root / "rows.npz")


@case("npz: a pickle", "File is not a zip file")
def _(root: Path) -> Arguments:
    (root / "rows.npz").write_bytes(pickle.dumps(Touches()))
    return info(root / "rows.npz")


@case("npz: a pipe", "there is no such file")
def _(root: Path) -> Arguments:
    os.mkfifo(root / "rows.npz")
    return info(root / "rows.npz")


@case("npz: an array of objects among sound ones", "which only unpickling reads")
def _(root: Path) -> Arguments:
    np.savez(root / "rows.npz", X=np.eye(3), y=np.array([Touches(), 1, 2], object))
    return info(root / "rows.npz")


@case("npy: rows to predict that are objects", "no model", 2)
def _(root: Path) -> Arguments:
    np.save(root / "rows.npy", np.array([[Touches()]], object))
    return ["predict", root, root / "rows.npy"]

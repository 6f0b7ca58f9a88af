"""What the fuzzer gives to each reader: sound files to begin with, and how bytes become a file that is read."""

import gzip
import io
import json
import pickle
import random
import shutil
import struct
import tarfile
import tempfile
import zipfile
import zlib
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from chainrule.data import read
from chainrule.data.readers import cifar, download
from chainrule.data.readers.catalogue import Remote

Mutate = Callable[[bytes, int], bytes]


@dataclass(frozen=True)
class Target:
    """`read` writes bytes into an empty folder and has them read. `repack` mutates what is packed in them."""

    read: Callable[[Path, bytes], object]
    seeds: list[bytes]
    words: tuple[bytes, ...] = ()
    repack: Callable[[bytes, Mutate, random.Random], bytes] | None = None


def _placed(files: dict[str, bytes], data: bytes, folder: Path) -> None:
    """Sound files, one of which, told by the first byte, has the rest of the data."""
    names = list(files)
    for name, content in files.items():
        chosen = data and names[data[0] % len(names)] == name
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(data[1:] if chosen else content)


def _among(files: dict[str, bytes], reader: Callable[[Path], object]) -> Target:
    def read_one(folder: Path, data: bytes) -> object:
        _placed(files, data, folder)
        return reader(folder)

    return Target(read_one, [bytes([i]) + content for i, content in enumerate(files.values())])


def _alone(name: str, seeds: list[bytes], *readers: Callable[[Path], object], **more: Any) -> Target:
    def read_one(folder: Path, data: bytes) -> object:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(data)
        return [reader(folder / name) for reader in readers]

    return Target(read_one, seeds, **more)


def _source(path: Path) -> object:
    return read(str(path)).digest


def cifar_binary() -> Target:
    layout = replace(cifar.CIFAR10, files={"data_batch_1": 2, "test_batch": 1})
    names = "\n".join(f"c{i}" for i in range(10)).encode()
    files = {"batches.meta.txt": names, "data_batch_1.bin": bytes(2 * 3073), "test_batch.bin": b"\1" + bytes(3072)}
    target = _among(files, lambda folder: cifar.read_layout(folder, layout))
    return replace(target, seeds=[*target.seeds, b"\0" + gzip.compress(names)])


def cifar_python() -> Target:
    layout = replace(cifar.CIFAR10, files={"data_batch_1": 2, "test_batch": 1})
    batches = {n: {"data": np.zeros((n, 3072), np.uint8), "labels": list(range(n)), "filenames": ["a"] * n}
               for n in (1, 2)}  # fmt: skip
    names = {"label_names": [f"c{i}" for i in range(10)]}
    files = {"batches.meta": pickle.dumps(names, 2), "data_batch_1": pickle.dumps(batches[2], 2),
             "test_batch": pickle.dumps(batches[1], 2)}  # fmt: skip
    target = _among(files, lambda folder: cifar.read_layout(folder, layout))
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
    return replace(_among(_idx_files(packed=False), _source), words=tuple(bytes([0, 0, t, 1]) for t in (8, 11, 13, 14)))


def idx_gz() -> Target:
    return replace(_among(_idx_files(packed=True), _source), repack=_regzip)


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
    target = _among(files, _source)
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
    return _alone("rows.npz", seeds, _source, words=(b"PK\1\2", b"PK\3\4", b"PK\5\6", b"PK\6\6"), repack=_rezip)


def csv() -> Target:
    from chainrule.data.readers.csv_files import read_csv_columns

    seeds = ["a,b\n1,2\n3,4\n", "a,b,c\n1.5,x,yes\n2,y,no\n".replace("x", "7").replace("y,", "8,"), "\ufeffa;b\n1;2\n",
             'a,"b\nb"\n"1","2"\n3,NA\n', "a,b,c\nred,1,2\n,NA,3\nblue,2,4\n", "d,y\n2020-01-31,1\n2020-02-01,2\n", "a,b\ntrue,1e3\nfalse,-inf\n", "a,b\r\n1,0x5\r\n"]  # fmt: skip
    words = (b",", b'"', b"\r\n", b"NaN", b"1e999", b"true", b"_", b"\xef\xbb\xbf", b"\0", b"''")

    def columns(path: Path) -> object:
        read_csv_columns(path, ("a",), ("a",))
        return read_csv_columns(path, ("a",))

    return _alone("table.csv", [seed.encode() for seed in seeds], _source, columns, words=words)


def _tables() -> list[Any]:
    import pyarrow as pa

    return [
        pa.table({"a": [1.5, 2.5, 3.5], "n": [1, 2, 3], "kind": ["x", "y", "x"]}),
        pa.table({"a": pa.array([1, 2, 3], pa.int8()), "y": pa.array(["u", "v", "u"]).dictionary_encode()}),
        pa.table({"a": [True, False, True], "y": pa.array(["u", "v", "u"], pa.string_view())}),
        pa.table({"a": [[1], [2], [3]], "b": [1, None, 3], "y": [0.5, 1.5, 2.5]}),
    ]


def parquet() -> Target:
    from pyarrow import parquet as pq

    seeds = []
    for table in _tables():
        for options in ({}, {"compression": "zstd", "use_dictionary": False}, {"data_page_version": "2.0"}):
            out = io.BytesIO()
            pq.write_table(table, out, store_schema="zstd" in options.values(), **options)
            seeds.append(out.getvalue())
    return _alone("table.parquet", seeds, _source, words=(b"PAR1", b"\x15\x02", b"\x19\x1c", b"\x18\x01a"))


def _ipc(table: Any, new: Any, compression: str | None) -> bytes:
    import pyarrow as pa

    out = io.BytesIO()
    with new(out, table.schema, options=pa.ipc.IpcWriteOptions(compression=compression)) as sink:
        sink.write_table(table, max_chunksize=2)
    return out.getvalue()


def arrow() -> Target:
    import pyarrow as pa

    # Batches of two rows; a dictionary of a column must then be one.
    seeds = [_ipc(table.combine_chunks(), new, compression) for table in _tables()
             for new in (pa.ipc.new_stream, pa.ipc.new_file) for compression in (None, "zstd", "lz4")]  # fmt: skip
    return _alone("table.arrow", seeds, _source, words=(b"ARROW1", b"\xff\xff\xff\xff", b"\0" * 8))


def feather() -> Target:
    from pyarrow import feather as fe

    seeds = []
    for table in _tables():
        for compression in ("lz4", "zstd", "uncompressed"):
            out = io.BytesIO()
            fe.write_feather(table, out, compression=compression)
            seeds.append(out.getvalue())
    return _alone("table.feather", seeds, _source, words=(b"ARROW1", b"FEA1", b"\xff\xff\xff\xff"))


def images() -> Target:
    from PIL import Image

    sound = Image.fromarray(np.arange(64, dtype=np.uint8).reshape(8, 8))
    seeds = []
    for image in (sound, sound.convert("RGB"), sound.convert("P"), sound.convert("RGB").quantize(4)):
        for kind, options in (
            *(("PNG", {}), ("JPEG", {}), ("JPEG", {"progressive": True}), ("GIF", {}), ("BMP", {}), ("PPM", {})),
            *(("WEBP", {}), ("WEBP", {"lossless": True}), ("TIFF", {}), ("TIFF", {"compression": "tiff_lzw"})),
            *(("TIFF", {"compression": "packbits"}), ("TIFF", {"compression": "jpeg"})),
        ):
            out = io.BytesIO()
            try:
                image.save(out, kind, **options)
            except (OSError, ValueError):
                continue  # a format without this mode
            seeds.append(out.getvalue())
    first = io.BytesIO()
    sound.save(first, "PNG")

    def read_one(folder: Path, data: bytes) -> object:
        for name, content in (("a/0.png", first.getvalue()), ("b/1.png", data)):
            (folder / name).parent.mkdir(exist_ok=True)
            (folder / name).write_bytes(content)
        return read(str(folder), image_size=(8, 8)).digest

    words = (b"IHDR", b"IDAT", b"PLTE", b"tRNS", b"iCCP", b"acTL", b"\xff\xd8", b"\xff\xc0", b"\xff\xda", b"GIF89a",
             b"RIFF", b"WEBP", b"VP8X", b"II*\0", b"MM\0*", b"P6")  # fmt: skip
    return Target(read_one, seeds, words, _repng)


def _repng(data: bytes, mutate: Mutate, draw: random.Random) -> bytes:
    """A chunk of a PNG changed under a sound checksum."""
    if not data.startswith(b"\x89PNG"):
        return mutate(data, len(data) + 64)
    chunks, place = [], 8
    while place + 8 <= len(data):
        length = int.from_bytes(data[place : place + 4], "big")
        chunks.append((data[place + 4 : place + 8], data[place + 8 : place + 8 + length]))
        place += 12 + length
    i = draw.randrange(len(chunks))
    kind, content = chunks[i]
    if kind == b"IDAT" and draw.random() < 0.5:
        content = zlib.compress(mutate(zlib.decompressobj().decompress(content, 2**16), 2**16))
    else:
        content = mutate(content, len(content) + 64)
    chunks[i] = (kind, content)
    if draw.random() < 0.2:
        chunks.insert(i, draw.choice(chunks))
    return data[:8] + b"".join(
        struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))
        for kind, content in chunks
    )


def _sealed_pair(names: tuple[str, str], sound: tuple[bytes, bytes], reader: Callable[[Path], object],
                 more: tuple[bytes, ...]) -> Target:  # fmt: skip
    """Two bytes for the length of a JSON file, then it, then safetensors; sealed in a folder before they are read."""
    from chainrule.runs.sealed import write_sealed

    def read_one(folder: Path, data: bytes) -> object:
        n = int.from_bytes(data[:2], "big")
        write_sealed(folder / "sealed", {names[0]: data[2 : 2 + n], names[1]: data[2 + n :]})
        return reader(folder / "sealed")

    def repack(data: bytes, mutate: Mutate, draw: random.Random) -> bytes:
        n = int.from_bytes(data[:2], "big")
        first, second = data[2 : 2 + n], data[2 + n :]
        if draw.random() < 0.5:
            first = mutate(first, 2**14)
        else:  # the length before a header of safetensors follows it
            length = int.from_bytes(second[:8], "little")
            header = mutate(second[8 : 8 + length], 2**14)
            second = struct.pack("<Q", len(header)) + header + second[8 + length :]
        return len(first).to_bytes(2, "big") + first + second

    words = (b'"F32"', b'"F64"', b'"BF16"', b'"data_offsets"', b'"shape"', b"null", b"1e400", b"[[[[", b"-1", b"NaN",
             b"\\ud800")  # fmt: skip
    return Target(read_one, [len(sound[0]).to_bytes(2, "big") + sound[0] + sound[1]], words + more, repack)


def model() -> Target:
    from chainrule.runs.model import load_model
    from faults.hostile_models import sound

    plain, weights = sound()
    words = (b'"kind": "residual"', b'"body": []', b'"dropout"', b'"batch_norm"', b'"linear"')
    return _sealed_pair(("model.json", "weights.safetensors"), (json.dumps(plain).encode(), weights),
                        lambda folder: load_model(folder).scores(np.zeros((2, 3))), words)  # fmt: skip


def checkpoint() -> Target:
    """A checkpoint, restored into the plan of the run that it is of."""
    import chainrule as cr
    from chainrule.runs import checkpoint
    from chainrule.runs.environment import environment
    from chainrule.runs.files import parse_json
    from chainrule.spec import to_plain
    from chainrule.training.loop import begin
    from chainrule.training.plan import plan

    data = cr.Dataset("made", np.eye(4, 3), np.arange(4) % 2, "classification", ("a", "b"))
    config = cr.Config(training=cr.Training(on_divergence="reduce-lr"))
    decided = plan(config, data, cr.mlp([2], norm="batch"))
    folder = Path(tempfile.mkdtemp())
    about = environment(decided.backend, data) | {"sessions": []}
    path = checkpoint.write(folder, checkpoint.snapshot(decided, begin(decided), about, to_plain(config)))
    state, arrays = ((path / name).read_bytes() for name in ("state.json", "arrays.safetensors"))
    shutil.rmtree(folder)

    def restored(sealed: Path) -> object:
        state = parse_json((sealed / "state.json").read_bytes(), sealed)
        name = "step-00000000"
        with suppress(KeyError, TypeError, ValueError, OverflowError):
            name = checkpoint.Key(len(state["setbacks"]), int(state["step"])).name
        named = sealed.rename(sealed.with_name(name[:100]))
        return checkpoint.restore(checkpoint.load(named), decided)

    words = (b'"setbacks"', b'"history"', b'"now/parameters/0.W"', b'"anchor/slots/0.W/1"', b'"best/0.W"', b'"step"')
    return _sealed_pair(("state.json", "arrays.safetensors"), (state, arrays), restored, words)


def config() -> Target:
    from chainrule.training.config import load

    folder = Path(__file__).parents[2] / "examples"
    seeds = [path.read_bytes() for path in sorted(folder.glob("*.toml"))]
    seeds.append(b'[network]\nlayers = [{kind="linear", width=3}, {kind="residual", body=[{kind="relu"}]}]\n')
    words = (b'kind = "adam"', b"[network]", b"hidden = [3]", b"dropout = 0.5", b"inf", b"nan", b"1979-05-27", b"'''",
             b"0x", b"[[a]]", b"\\u0000", b"layers = []", b"{}", b"split", b"os.system")  # fmt: skip
    return _alone("config.toml", seeds, load, words=words)


_MEMBERS = (("set/rows.bin", 10), ("set/names.txt", 100))


def _tar(form: int = tarfile.PAX_FORMAT) -> bytes:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w", format=form) as archive:
        for name, content in (
            ("set/rows.bin", b"0123456789"),
            ("other/" * 30 + "x", b"x"),
            ("set/names.txt", b"cat\ndog"),
        ):
            info = tarfile.TarInfo(name)
            info.size = len(content)
            archive.addfile(info, io.BytesIO(content))
    return out.getvalue()


def archive() -> Target:
    """A tar as a server might send it; what lands outside its folder is found by the fuzzer's own folder."""

    def read_one(folder: Path, data: bytes) -> object:
        def sent(remote: Remote, file: Any) -> None:
            file.write(data)

        real, download._download = download._download, sent
        try:
            download.fetch_all([Remote("http://x/a.tar.gz", len(data), "", _MEMBERS)], folder / "in")
        finally:
            download._download = real
        landed = {str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()}
        assert landed == {"in/set/rows.bin", "in/set/names.txt"}, landed
        return None

    def repack(data: bytes, mutate: Mutate, draw: random.Random) -> bytes:
        inner = zlib.decompressobj(31).decompress(data, 2**18)
        return gzip.compress(_summed(mutate(inner, len(inner) + 512)), 1)

    seeds = [gzip.compress(_tar(form)) for form in (tarfile.PAX_FORMAT, tarfile.GNU_FORMAT, tarfile.USTAR_FORMAT)]
    return Target(
        read_one, seeds, (b"../", b"/etc/", b"ustar\x0000", b"path=", b"GNU.sparse.size=", b"linkpath="), repack
    )


def _summed(content: bytes) -> bytes:
    """With the checksum of every header set right."""
    blocks = bytearray(content)
    for place in range(0, len(blocks) - 511, 512):
        if blocks[place + 257 : place + 262] == b"ustar":
            blocks[place + 148 : place + 156] = b" " * 8
            blocks[place + 148 : place + 156] = b"%06o\0 " % sum(blocks[place : place + 512])
    return bytes(blocks)


TARGETS: dict[str, Callable[[], Target]] = {
    "cifar-binary": cifar_binary, "cifar-python": cifar_python, "idx": idx, "idx-gz": idx_gz, "npy": npy, "npz": npz,
    "csv": csv, "parquet": parquet, "arrow": arrow, "feather": feather, "images": images, "model": model,
    "checkpoint": checkpoint, "config": config, "archive": archive,
}  # fmt: skip


def emptied(folder: Path) -> Path:
    """An empty folder of that name."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    return folder

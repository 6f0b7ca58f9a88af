"""Hostile model directories. All are sealed, for whoever writes one can seal it."""

import json
import os
import pickle
import struct
import tempfile
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np

import chainrule as cr
from chainrule.runs.sealed import write_sealed
from faults.cases import Arguments, Touches, collector

CASES, case = collector()
MIB = 2**20


@cache
def sound() -> tuple[dict[str, Any], bytes]:
    """`model.json` and `weights.safetensors` of a small model."""
    rng = np.random.default_rng(0)
    data = cr.Dataset("d", rng.normal(size=(20, 3)), np.arange(20) % 2, "classification", ("no", "yes"))
    compute = cr.Compute(backend="numpy", threads=1)
    run = cr.train(cr.mlp([4]), data, training=cr.Training(iterations=1, batch_size=4), compute=compute)
    with tempfile.TemporaryDirectory() as folder:
        run.model.save(Path(folder, "model"))
        text = Path(folder, "model", "model.json").read_text()
        return json.loads(text), Path(folder, "model", "weights.safetensors").read_bytes()


def predict(root: Path, model: bytes | None = None, weights: bytes | None = None, **others: bytes) -> Arguments:
    """`predict` with a model of which a file is another."""
    plain, arrays = sound()
    files = {
        "model.json": json.dumps(plain).encode() if model is None else model,
        "weights.safetensors": arrays if weights is None else weights,
    }
    write_sealed(root / "model", files | others)
    np.save(root / "rows.npy", np.zeros((2, 3)))
    return ["predict", root / "model", root / "rows.npy"]


def changed(**changes: Any) -> bytes:
    return json.dumps(sound()[0] | changes).encode()


def safetensors(header: dict[str, Any] | bytes, body: bytes = b"", length: int | None = None) -> bytes:
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    return struct.pack("<Q", len(text) if length is None else length) + text + body


def entries() -> tuple[dict[str, Any], bytes]:
    """The header of the sound weights, and their bytes."""
    content = sound()[1]
    n = struct.unpack("<Q", content[:8])[0]
    return json.loads(content[8 : 8 + n]), content[8 + n :]


@case("model: a sound one, so that the others are not refused for something else", code=0)
def _(root: Path) -> Arguments:
    return predict(root)


@case("model: weights that are a pickle", "cannot be read as safetensors", 4)
def _(root: Path) -> Arguments:
    return predict(root, weights=pickle.dumps(Touches()))


@case("model: a header of 2^63 bytes", "cannot be read as safetensors", 4)
def _(root: Path) -> Arguments:
    return predict(root, weights=safetensors({}, length=2**63))


@case("model: a header of 99 MB that is not there", "cannot be read as safetensors", 4)
def _(root: Path) -> Arguments:
    return predict(root, weights=safetensors({}, length=99_000_000))


@case("model: offsets that overlap", "cannot be read as safetensors", 4)
def _(root: Path) -> Arguments:
    header, body = entries()
    header["preprocessing.shift"] = header["preprocessing.scale"]
    return predict(root, weights=safetensors(header, body))


@case("model: offsets outside the file", "cannot be read as safetensors", 4)
def _(root: Path) -> Arguments:
    header, body = entries()
    name = next(iter(header))
    header[name] = {"dtype": "F32", "shape": [2**40], "data_offsets": [0, 2**42]}
    return predict(root, weights=safetensors(header, body))


@case("model: a shape whose product overflows", "cannot be read as safetensors", 4)
def _(root: Path) -> Arguments:
    header, body = entries()
    name = next(iter(header))
    header[name] |= {"shape": [2**32, 2**32, 2**32]}
    return predict(root, weights=safetensors(header, body))


@case("model: an array of no numbers, of a shape that is huge", "cannot be read as safetensors", 4)
def _(root: Path) -> Arguments:
    header, body = entries()
    header["x"] = {"dtype": "F32", "shape": [0, 2**62], "data_offsets": [0, 0]}
    return predict(root, weights=safetensors(header, body))


@case("model: an unknown dtype", "cannot be read as safetensors", 4)
def _(root: Path) -> Arguments:
    header, body = entries()
    header[next(iter(header))]["dtype"] = "object"
    return predict(root, weights=safetensors(header, body))


@case("model: a dtype that only some read", "weights.safetensors", 4)
def _(root: Path) -> Arguments:
    header, body = entries()
    entry = header["network.0.W"]
    entry |= {"dtype": "F8_E4M3", "shape": [entry["shape"][0] * 4, entry["shape"][1]]}
    return predict(root, weights=safetensors(header, body))


@case("model: a preparation of other columns", "model.json needs", 4)
def _(root: Path) -> Arguments:
    return predict(root, changed(preparation={"categories": [None, None], "gaps": []}))


@case("model: a preparation of a million empty columns", "model.json needs", 4)
def _(root: Path) -> Arguments:
    return predict(root, changed(preparation={"categories": [[]] * 1_000_000 + [None], "gaps": [0]}))


@case("model: a word that is a number", "is not a model of format", 4)
def _(root: Path) -> Arguments:
    return predict(root, changed(preparation={"categories": [None, None, [1, 2]], "gaps": []}))


@case("model: an embedding of more rows than the memory holds", "array 'network.0.E' has shape None", 4)
def _(root: Path) -> Arguments:
    embedding = {"kind": "embedding", "sizes": [65_000] * 1000, "width": 2**40}
    return predict(root, changed(layers=[embedding, *sound()[0]["layers"]], n_in=2003))


@case("model: weights that are integers", "weights.safetensors", 4)
def _(root: Path) -> Arguments:
    header, body = entries()
    header["network.0.W"]["dtype"] = "I32"
    return predict(root, weights=safetensors(header, body))


@case("model: a name twice, the second as sound as the first", code=0)
def _(root: Path) -> Arguments:
    header, body = entries()
    text = json.dumps(header)
    again = json.dumps({"network.0.W": header["network.0.W"]})[1:-1]
    return predict(root, weights=safetensors(f"{text[:-1]}, {again}}}".encode(), body))


@case("model: a header nested a hundred thousand deep", "cannot be read as safetensors", 4)
def _(root: Path) -> Arguments:
    return predict(root, weights=safetensors(b'{"a":' + b"[" * 100_000))


@case("model: three hundred thousand arrays", "weights.safetensors", 4)
def _(root: Path) -> Arguments:
    entry = {"dtype": "F32", "shape": [0], "data_offsets": [0, 0]}
    return predict(root, weights=safetensors({f"a{i}": entry for i in range(300_000)}))


@case("model: weights that are not finite", "holds values that no model has", 4)
def _(root: Path) -> Arguments:
    header, body = entries()
    start, end = header["network.0.W"]["data_offsets"]
    spoilt = body[:start] + np.full((end - start) // 4, np.nan, np.float32).tobytes() + body[end:]
    return predict(root, weights=safetensors(header, spoilt))


@case("model: weights that are an endless file elsewhere", "is damaged", 4)
def _(root: Path) -> Arguments:
    predict(root)
    (root / "model" / "weights.safetensors").unlink()
    (root / "model" / "weights.safetensors").symlink_to("/dev/zero")
    return ["predict", root / "model", root / "rows.npy"]


@case("model: weights that are a pipe", "weights.safetensors", 4)
def _(root: Path) -> Arguments:
    arguments = predict(root)
    text = (root / "model" / "manifest.json").read_text()
    listed = json.loads(text)
    listed["files"]["weights.safetensors"]["bytes"] = 0
    (root / "model" / "manifest.json").write_text(json.dumps(listed, indent=2) + "\n")
    (root / "model" / "weights.safetensors").unlink()
    os.mkfifo(root / "model" / "weights.safetensors")
    return arguments


@case("model: a manifest that is a pipe", "manifest.json", 4)
def _(root: Path) -> Arguments:
    arguments = predict(root)
    (root / "model" / "manifest.json").unlink()
    os.mkfifo(root / "model" / "manifest.json")
    return arguments


@case("model: a manifest of a gigabyte of holes", "manifest.json", 4)
def _(root: Path) -> Arguments:
    arguments = predict(root)
    with (root / "model" / "manifest.json").open("wb") as file:
        file.truncate(2**30)
    return arguments


@case("model: a manifest that lists a file elsewhere", "it lists '../secret'", 4)
def _(root: Path) -> Arguments:
    arguments = predict(root)
    (root / "secret").write_text("x")
    listed = json.loads((root / "model" / "manifest.json").read_text())
    listed["files"]["../secret"] = {"bytes": 1, "sha256": ""}
    (root / "model" / "manifest.json").write_text(json.dumps(listed, indent=2) + "\n")
    return arguments


@case("model: a manifest nested a hundred thousand deep", "cannot be read as JSON", 4)
def _(root: Path) -> Arguments:
    arguments = predict(root)
    (root / "model" / "manifest.json").write_text('{"files": ' + "[" * 100_000)
    return arguments


@case("model: a layer that is an import path", "unknown kind 'os.system'", 4)
def _(root: Path) -> Arguments:
    return predict(root, changed(layers=[{"kind": "os.system", "command": "touch canary"}]))


@case("model: a layer that is a module in this folder", "unknown kind 'canary_module.Layer'", 4)
def _(root: Path) -> Arguments:
    (root / "canary_module.py").write_text("open('canary', 'w').close()\nclass Layer: pass\n")
    return predict(root, changed(layers=[{"kind": "canary_module.Layer"}]))


@case("model: an unknown option of a layer", "unknown option", 4)
def _(root: Path) -> Arguments:
    return predict(root, changed(layers=[{"kind": "linear", "__class__": "os"}]))


@case("model: layers nested a hundred thousand deep", "model.json", 4)
def _(root: Path) -> Arguments:
    text = changed(layers=["x"]).decode()
    nested = '{"kind": "residual", "body": [' * 100_000 + '{"kind": "relu"}' + "]}" * 100_000
    return predict(root, text.replace('"x"', nested).encode())


@case("model: layers nested two hundred deep", "model.json", 4)
def _(root: Path) -> Arguments:
    text = changed(layers=["x"]).decode()
    nested = '{"kind": "residual", "body": [' * 200 + '{"kind": "relu"}' + "]}" * 200
    return predict(root, text.replace('"x"', nested).encode())


@case("model: a width of ten thousand digits", "model.json", 4)
def _(root: Path) -> Arguments:
    return predict(root, changed(n_in=1).replace(b'"n_in": 1', b'"n_in": ' + b"9" * 10_000))


@case("model: a width of 2^62", "weights.safetensors", 4)
def _(root: Path) -> Arguments:
    return predict(root, changed(n_in=2**62))


@case("model: a width of 10^400", "model.json", 4)
def _(root: Path) -> Arguments:
    return predict(root, changed(n_in=1).replace(b'"n_in": 1', b'"n_in": 1e400'))


@case("model: a key twice", "model.json", 4)
def _(root: Path) -> Arguments:
    return predict(root, changed()[:-1] + b', "task": "regression", "n_in": 3}')


@case("model: targets that are too few", "model.json", 4)
def _(root: Path) -> Arguments:
    return predict(root, changed(target_names=["no"]))


@case("model: a loss for another task", "model.json", 4)
def _(root: Path) -> Arguments:
    return predict(root, changed(loss={"kind": "squared_error"}))


@case("model: a list in place of everything", "model.json", 4)
def _(root: Path) -> Arguments:
    return predict(root, b"[]")


@case("model: another file beside", "a model holds other files", 4)
def _(root: Path) -> Arguments:
    return predict(root, **{"code.py": b"open('canary', 'w').close()"})

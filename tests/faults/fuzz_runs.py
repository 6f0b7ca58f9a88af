"""What a run consists of, for the fuzzer: models, checkpoints and configurations."""

import json
import random
import shutil
import struct
import tempfile
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import numpy as np

from faults.fuzz_target import Mutate, Target, alone


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
    return alone("config.toml", seeds, load, words=words)

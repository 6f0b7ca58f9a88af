"""Coverage-guided fuzzing of a reader: python -m faults.fuzz READER --seconds 600 --output FOLDER (in tests/).

Atheris finds the ways, and is best installed apart from all else:

    python3.11 -m venv fuzzing && fuzzing/bin/pip install atheris==3.0.0 -e '.[tables,images]'

A reader gives a value or a ChainruleError. Anything else is a finding: another exception, a crash, more than 5 s, more
than 400 MiB. What is found goes to FOLDER/READER/findings.jsonl with the bytes beside, the counts to summary.json; the
exit code is 1 if anything was found. The corpus stays there too, and the next fuzzing begins with it.
"""

import argparse
import hashlib
import json
import os
import random
import re
import resource
import subprocess
import sys
import tempfile
import time
import traceback
from pathlib import Path
from typing import Any

MOST_SECONDS, MOST_MIB = 5, 400
_HANGS = 60
_INSTRUMENTED = ["chainrule", "PIL", "zipfile", "tarfile", "gzip", "pickletools", "tomllib", "numpy.lib"]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("reader")
    parser.add_argument("--seconds", type=int, default=60)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--output", type=Path, default=Path(tempfile.gettempdir(), "fuzzing"))
    parser.add_argument("--child", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args()
    folder = options.output.resolve() / options.reader
    if options.child:
        fuzz(options.reader, options.seconds, options.seed, folder)
    else:
        sys.exit(supervise(options.reader, options.seconds, options.seed, folder))


def supervise(reader: str, seconds: int, seed: int, folder: Path) -> int:
    """Fuzz in processes that may crash, one after the other, until the time is over."""
    (folder / "corpus").mkdir(parents=True, exist_ok=True)
    end, executed, covered, starts = time.monotonic() + seconds, 0, 0, 0
    while (left := int(end - time.monotonic())) > 0:
        starts += 1
        command = [sys.executable, "-m", "faults.fuzz", reader, "--child", "--seconds", str(left),
                   "--seed", str(seed + starts), "--output", str(folder.parent)]  # fmt: skip
        done = subprocess.run(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, check=False)
        text = done.stderr.decode(errors="replace")
        executed += max(map(int, re.findall(r"^#(\d+)", text, re.MULTILINE)), default=0)
        covered = max([covered, *map(int, re.findall(r" cov: (\d+)", text))])
        if not executed:
            sys.exit(text)
        for artifact in folder.glob("native-*"):
            record(folder, artifact.read_bytes(), kind="crash or hang", error=text[-1500:], where=str(done.returncode))
            artifact.unlink()
    found = [json.loads(line) for line in _lines(folder)]
    corpus = sum(1 for _ in (folder / "corpus").iterdir())
    summary = {"reader": reader, "seconds": seconds, "executions": executed, "edges": covered, "corpus": corpus,
               "processes": starts, "findings": len(found)}  # fmt: skip
    (folder / "summary.json").write_text(json.dumps(summary) + "\n")
    print(json.dumps(summary))
    return 1 if found else 0


def _lines(folder: Path) -> list[str]:
    path = folder / "findings.jsonl"
    return path.read_text().splitlines() if path.exists() else []


def record(folder: Path, data: bytes, **facts: Any) -> None:
    """Keep a finding, one of each kind and place."""
    known = {(line["kind"], line["where"]) for line in map(json.loads, _lines(folder))}
    if (facts["kind"], facts["where"]) in known:
        return
    name = f"finding-{hashlib.sha256(data).hexdigest()[:12]}"
    (folder / name).write_bytes(data)
    with (folder / "findings.jsonl").open("a") as file:
        file.write(json.dumps({"file": name, **facts}) + "\n")


def fuzz(reader: str, seconds: int, seed: int, folder: Path) -> None:
    """Fuzz in this process until the time is over, or the memory is."""
    import atheris

    with atheris.instrument_imports(include=_INSTRUMENTED):
        from chainrule.errors import ChainruleError
        from faults.fuzz_targets import TARGETS, emptied

        target = TARGETS[reader]()
    for i, content in enumerate(target.seeds):
        (folder / "corpus" / f"seed-{i}").write_bytes(content)
    words = folder / "words"
    words.write_text("".join('"' + "".join(f"\\x{byte:02x}" for byte in word) + '"\n' for word in target.words))
    scratch = Path("/dev/shm" if Path("/dev/shm").is_dir() else tempfile.gettempdir(), f"fuzz-{os.getpid()}")
    sound = emptied(scratch)
    target.read(sound, target.seeds[0])  # which imports what is imported late, and must be read

    def try_one(data: bytes) -> None:
        before, start = _peak(), time.perf_counter()
        place = emptied(scratch)
        try:
            target.read(place, data)
        except ChainruleError:
            pass
        except Exception as error:
            frame = traceback.extract_tb(error.__traceback__)[-1]
            where = f"{type(error).__name__} at {Path(frame.filename).name}:{frame.lineno}"
            text = "".join(traceback.format_exception(error))[-1500:]
            record(folder, data, kind="exception", error=text, where=where)
        took, peak = time.perf_counter() - start, _peak()
        if took > MOST_SECONDS:
            record(folder, data, kind="time", error=f"{took:.1f} s", where="")
        if peak > MOST_MIB:
            if peak - before > 64:  # else the fuzzer itself has grown
                record(folder, data, kind="memory", error=f"from {before} to {peak} MiB", where="")
            os._exit(0)

    def mutate(data: bytes, most: int, number: int) -> bytes:
        draw = random.Random(number)
        if target.repack is not None and draw.random() < 0.75:
            try:
                changed = target.repack(data, lambda inner, n: atheris.Mutate(inner[:n], n), draw)
            except Exception:
                return bytes(atheris.Mutate(data, most))
            if len(changed) <= most:
                return changed
        return bytes(atheris.Mutate(data, most))

    flags = [f"-max_total_time={seconds}", f"-seed={seed}", "-max_len=65536", f"-timeout={_HANGS}", "-rss_limit_mb=3000",
             f"-artifact_prefix={folder}/native-", "-len_control=0"]  # fmt: skip
    flags += [f"-dict={words}"] if target.words else []  # an empty one ends libFuzzer
    atheris.Setup([sys.argv[0], *flags, str(folder / "corpus")], try_one, custom_mutator=mutate)
    atheris.Fuzz()


def _peak() -> int:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024


if __name__ == "__main__":
    main()

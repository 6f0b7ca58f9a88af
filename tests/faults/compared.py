"""What must be equal in two runs that are the same: every weight, every row of history but for the clock's columns."""

import json
from hashlib import sha256
from pathlib import Path

CLOCK = ("seconds", "rows_per_second")


def fingerprint(run: Path) -> tuple[object, ...]:
    rows = [json.loads(line) for line in (run / "history.jsonl").read_text().splitlines()]
    timeless = [{name: value for name, value in row.items() if name not in CLOCK} for row in rows]
    models = [sha256((run / part / "weights.safetensors").read_bytes()).hexdigest() for part in ("model", "best")]
    return (*models, json.dumps(timeless))


def litter(run: Path) -> list[str]:
    return [str(path) for path in run.rglob("*") if ".tmp-" in path.name]

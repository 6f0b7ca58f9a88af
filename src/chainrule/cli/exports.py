"""Write a model for others to use."""

import json
from pathlib import Path
from typing import Annotated

import typer

from chainrule.cli.common import Json, app, show


@app.command()
def export(
    source: Annotated[Path, typer.Argument(metavar="RUN|MODEL", help="A finished run, or a model folder.")],
    to: Annotated[str, typer.Option("--to", metavar="FORM", help="onnx, torch or numpy.")],
    output: Annotated[
        Path | None, typer.Option("--output", "-o", help="File or folder; named after the run, here, if not given.")
    ] = None,
    best: Annotated[bool, typer.Option("--best", help="The best row's parameters instead of the model's.")] = False,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace the output.")] = False,
    as_json: Json = False,
) -> None:
    """Write the model as ONNX, for PyTorch or for plain NumPy, preprocessing included, and compare it with itself."""
    from chainrule.exporting.export import default_output
    from chainrule.exporting.export import export as written
    from chainrule.runs.model import find_model

    model = find_model(source, "best" if best else "model")
    made = written(model, to, output or default_output(source, to), overwrite=overwrite)  # type: ignore[arg-type]
    if as_json:
        facts = {"to": made.form, "files": [str(path) for path in made.files], "rows": made.n_rows, "note": made.note,
                 "largest_difference": made.largest_difference}  # fmt: skip
        return show(json.dumps(facts), data=True)
    for path in made.files:
        show(str(path))
    if made.largest_difference is None:
        return show(made.note)
    note = f" ({made.note})" if made.note else ""
    return show(f"largest difference from the model on {made.n_rows} rows: {made.largest_difference:.2g}{note}")

"""Train: new runs, and on from a checkpoint."""

import json
import shlex
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Annotated, Any

import typer

from chainrule.cli.common import Changes, ConfigFile, Data, Device, Json, Quiet, Target, app, merged, show
from chainrule.cli.options import Configured
from chainrule.errors import ConfigError, Interrupted

TimeLimit = Annotated[
    str | None, typer.Option("--time-limit", metavar="TIME", help="Leave a checkpoint and end after 90s, 30m, 2h.")
]
OnDivergence = Annotated[
    str | None, typer.Option("--on-divergence", help="stop, or reduce-lr: go back and halve the learning rate.")
]
EventFiles = Annotated[
    Path | None, typer.Option("--tensorboard", metavar="DIR", help="Also write event files for TensorBoard in DIR.")
]
MLflowStore = Annotated[
    str | None, typer.Option("--mlflow", metavar="URI", help="Also log to MLflow: sqlite:///FILE, or a folder.")
]


@app.command(cls=Configured)
def train(
    config: ConfigFile = None,
    data: Data = None,
    target: Target = None,
    changes: Changes = [],  # noqa: B006
    output: Annotated[
        Path | None, typer.Option("--output", "-o", help="Run directory; runs/NAME-N if not given.")
    ] = None,
    seed: Annotated[int | None, typer.Option("--seed", help="Seed of weights, batches and dropout.")] = None,
    seeds: Annotated[
        int, typer.Option("--seeds", min=1, help="Train so many runs, with this seed and the next ones.")
    ] = 1,
    device: Device = None,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace the run in the output directory.")] = False,
    resume: Annotated[
        Path | None,
        typer.Option("--resume", metavar="DIR", help="Go on with the run in DIR; with CONFIG.toml, or start it there."),
    ] = None,
    inexact: Annotated[
        bool, typer.Option("--inexact", help="Resume although options, data, versions or the machine have changed.")
    ] = False,
    time_limit: TimeLimit = None,
    on_divergence: OnDivergence = None,
    tensorboard: EventFiles = None,
    mlflow: MLflowStore = None,
    as_json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Train a network by a configuration; without one, on the embedded digits.

    On N processes, with training.batch_size rows each: torchrun --nproc-per-node=N -m chainrule train ...
    """
    from chainrule.backends.world import joined
    from chainrule.runs.start import configured
    from chainrule.text import duration

    asked = merged(changes, data, seed, device, target)
    if on_divergence is not None:
        asked.append(f"training.on_divergence={json.dumps(on_divergence)}")
    how = {"inexact": inexact, "time_limit": None if time_limit is None else duration(time_limit)}
    with joined() as world:
        if world.rank:
            from chainrule.runs.ranks import follow

            follow(world, None if resume is not None and config is None else partial(configured, config, asked))
        trackers = _trackers(tensorboard, mlflow)
        if resume is not None and (output is not None or overwrite):
            raise ConfigError("--resume DIR is where the run is and goes on; leave out --output and --overwrite")
        if resume is None or config is not None:
            how |= {"overwrite": overwrite, "resume": resume is not None}
            runs = _new(config, asked, resume or output, seeds, quiet, trackers, world, how)
        elif seeds > 1:
            raise ConfigError("--resume DIR alone goes on with one run; leave out --seeds, or give CONFIG.toml too")
        else:
            runs = [_train(None, resume, quiet, trackers, resume=True, changes=asked, world=world, **how)]
        _print_runs(runs, as_json)


def _new(config: Path | None, asked: list[str], output: Path | None, seeds: int, quiet: bool,
         trackers: list[Any], world: Any, how: dict[str, Any]) -> list[Any]:  # fmt: skip
    from chainrule.runs.start import configured

    options = configured(config, asked)
    output = output or _free_name(config.stem if config else Path(options.data.source).stem)
    if seeds == 1:
        return [_train(options, output, quiet, trackers, world=world, **how)]
    if world.size > 1:
        raise ConfigError(f"--seeds {seeds} with {world.size} processes: they train one run together; start each seed")
    found: list[Any] = _train_seeds(options, seeds, output, quiet, trackers, **how)
    return found


def _trackers(tensorboard: Path | None, mlflow: str | None) -> list[Any]:
    from chainrule.tracking import MLflow, TensorBoard

    found: list[Any] = [] if tensorboard is None else [TensorBoard(tensorboard)]
    return found if mlflow is None else [*found, MLflow(mlflow)]


def _train(config: Any, folder: Path, quiet: bool, trackers: list[Any], **how: Any) -> Any:
    from chainrule.runs.train import train_config

    return _shown(quiet, lambda shown: train_config(config, folder, hooks=(shown, *trackers), on_step=shown.on_step,
                                                    **how))  # fmt: skip


def _train_seeds(config: Any, n: int, folder: Path, quiet: bool, trackers: list[Any], **how: Any) -> Any:
    from chainrule.runs.seeds import train_seeds

    return _shown(quiet, lambda shown: train_seeds(config, n, folder, hooks=(shown, *trackers), on_step=shown.on_step,
                                                   **how))  # fmt: skip


def _shown(quiet: bool, run: Callable[[Any], Any]) -> Any:
    from chainrule.runs.progress import PlainProgress, progress

    with PlainProgress(silent=True) if quiet else progress() as shown:
        try:
            return run(shown)
        except Interrupted as stopped:
            shown.write(str(stopped))
            raise typer.Exit(stopped.exit_code) from None


def _print_runs(runs: list[Any], as_json: bool) -> None:
    if as_json:
        found = [{"run": str(run.directory), "seed": run.config.training.seed} | run.metrics for run in runs]
        show(json.dumps(found[0] if len(runs) == 1 else found), data=True)
        return
    show(_summary(runs))


def _free_name(stem: str) -> Path:
    n = 1
    while (Path("runs") / f"{stem}-{n}").exists():
        n += 1
    return Path("runs") / f"{stem}-{n}"


def _summary(runs: list[Any]) -> str:
    from chainrule.runs.listing import listing
    from chainrule.text import columns

    header, rows = listing(runs)
    table = columns(header, rows, right=range(1, len(header)))
    folder = runs[0].directory
    found = shlex.quote(str(folder)) if len(runs) == 1 else f"{shlex.quote(str(folder.parent))}/seed-*"
    return f"{table}\nThe test rows were not read. Next: chainrule evaluate {found}"

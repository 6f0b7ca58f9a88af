"""The examples on real data, as configured. The long ones are recorded in docs/results.md."""

from pathlib import Path

import pytest

import chainrule as cr
from chainrule.training import load

EXAMPLES = Path(__file__).parents[2] / "examples"


def test_digits_reach_97_percent_of_the_test_rows_over_5_seeds(tmp_path):
    accuracies = []
    for seed in range(5):
        run = cr.train_config(load(EXAMPLES / "digits.toml", [f"training.seed={seed}"]))
        accuracies.append(cr.assess_run(run, "test").metrics["accuracy"])
    assert sum(accuracies) / 5 >= 0.97, accuracies


@pytest.mark.real_data
def test_the_reports_defaults_land_where_the_report_did(cifar10):
    run = cr.train_config(load(EXAMPLES / "report-defaults.toml", [f"data.path='{cifar10}'"]))
    assert run.metrics["rows"] == {"train": 49_000, "validation": 1000, "test": 10_000}
    assert run.metrics["steps"] == 1000
    assert 0.26 <= run.metrics["model"]["validation_accuracy"] <= 0.31


@pytest.mark.real_data
def test_numpy_and_torch_agree_on_cifar10_for_100_steps(cifar10):
    changes = [f"data.path='{cifar10}'", "training.iterations=100", "evaluation.every_steps=25",
               "evaluation.train_rows=1000", "compute.precision='float64'"]  # fmt: skip
    histories = [
        cr.train_config(load(EXAMPLES / "report-defaults.toml", [*changes, f"compute.backend='{name}'"])).history
        for name in ("numpy", "torch")
    ]
    for ours, theirs in zip(*histories, strict=True):
        for name in ours.keys() - {"seconds", "rows_per_second"}:
            assert ours[name] == pytest.approx(theirs[name], rel=1e-8, abs=1e-8), name


@pytest.mark.real_data
@pytest.mark.timeout(900)  # a minute of two quiet cores, four of cores that others use
def test_fashion_mnist_trains_to_over_89_percent(fashion_mnist):
    run = cr.train_config(load(EXAMPLES / "fashion-mnist.toml", [f"data.path='{fashion_mnist}'"]))
    assert cr.assess_run(run, "test").metrics["accuracy"] > 0.89

"""TensorBoard's own reader finds in the event files what the run has measured."""

import json
import re

import numpy as np
import pytest

import chainrule as cr
from chainrule.tracking import tensorboard
from tracking.tracked import DIGITS, CrashError, Stopped, columns, trained

reader = pytest.importorskip("tensorboard.backend.event_processing.event_accumulator", reason="no tensorboard")


def read(folder):
    found = reader.EventAccumulator(str(folder), size_guidance={"scalars": 0, "tensors": 0})
    found.Reload()
    return found


def scalars(found):
    return {name: [(one.step, one.value) for one in found.Scalars(name)] for name in found.Tags()["scalars"]}


def texts(found, tag):
    return [b"".join(one.tensor_proto.string_val).decode() for one in found.Tensors(tag)]


def check(found, run):
    held = scalars(found)
    final = {name for name in held if name.startswith("final/")}
    expected = columns(run.history)
    assert set(held) - final == set(expected)
    assert {"gradient_norms/0.W", "update_ratios/2.W", "validation_accuracy"} <= set(expected)
    for name, points in expected.items():
        assert [step for step, _ in held[name]] == [step for step, _ in points], name
        np.testing.assert_allclose([v for _, v in held[name]], [v for _, v in points], rtol=1e-6)
    assert held["final/validation_loss"][-1][1] == pytest.approx(run.metrics["model"]["validation_loss"], rel=1e-6)


def test_every_column_options_conditions_and_notes_are_read_back(tmp_path):
    run = trained([cr.TensorBoard(tmp_path / "events")], output=tmp_path / "mine")
    found = read(tmp_path / "events" / "mine")
    check(found, run)
    (options,), (conditions,) = texts(found, "options"), texts(found, "conditions")
    assert "| optimizer.lr | 0.001 |" in options
    assert "| training.batch_size | 128 |" in options
    assert f"| data_sha256 | {DIGITS.digest} |" in conditions
    assert f"| versions.numpy | {np.__version__} |" in conditions
    assert "3 columns are constant over the training rows (0, 32, 39)" in texts(found, "notes")[1]
    (seconds,) = {one.wall_time for one in found.Scalars("seconds")[:1]}
    assert seconds == pytest.approx(found.FirstEventTimestamp(), abs=60)


def test_a_killed_run_goes_on_without_double_or_lost_points(tmp_path):
    hook = cr.TensorBoard(tmp_path)
    with pytest.raises(CrashError):
        trained([hook, Stopped(4)], output=tmp_path / "mine")  # the fourth row lies beyond the last checkpoint
    assert len(scalars(read(tmp_path / "mine"))["train_loss"]) == 4
    run = trained([cr.TensorBoard(tmp_path)], output=tmp_path / "mine", resume=True)
    assert len(run.history) == 5
    check(read(tmp_path / "mine"), run)


def test_a_tracker_that_comes_with_the_resuming_gets_the_whole_history(tmp_path):
    with pytest.raises(CrashError):
        trained([Stopped(4)], output=tmp_path / "mine")
    run = trained([cr.TensorBoard(tmp_path / "tb")], output=tmp_path / "mine", resume=True)
    check(read(tmp_path / "tb" / "mine"), run)


def test_seeds_that_are_trained_together_have_events_each(tmp_path):
    runs = trained([cr.TensorBoard(tmp_path / "tb")], seeds=2, output=tmp_path / "group", checkpoint=cr.Checkpoint())
    for run in runs:
        check(read(tmp_path / "tb" / "group" / run.directory.name), run)
    trained([cr.TensorBoard(tmp_path / "memory")], seeds=2)
    assert {path.name for path in (tmp_path / "memory").iterdir()} == {"digits-seed-0", "digits-seed-1"}


def test_setbacks_and_findings_are_notes(tmp_path):
    how = {"optimizer": cr.SGD(1e3), "training": cr.Training(epochs=3, batch_size=128, on_divergence="reduce-lr")}
    cr.train(cr.mlp([16, 16]), DIGITS, hooks=[cr.TensorBoard(tmp_path, "own")], **how)
    notes = texts(read(tmp_path / "own"), "notes")
    assert any(
        re.match(r"step \d+: .* is not finite at step \d+; back to step 0, learning rate x 0.5", n) for n in notes
    )


def test_an_own_layer_and_odd_names_do_no_harm(tmp_path):
    class Twice(cr.Layer):
        def forward(self, parameters, x, context):
            return 2 * x, lambda dy: (2 * dy, {})

    network = cr.Network((cr.Linear(4), Twice(), cr.Linear()))
    cr.train(network, DIGITS, training=cr.Training(epochs=1), hooks=[cr.TensorBoard(tmp_path, "own|layer")])
    assert "| network.layers | Network(64 \\| linear 4 \\| " in texts(read(tmp_path / "own|layer"), "options")[0]


def test_a_disk_that_fails_in_between_is_caught_up_with(tmp_path):
    said = []
    hook = cr.TensorBoard(tmp_path, warn=said.append)
    broken = [False, False, True, True, False]

    class Failing(cr.Hook):
        def logged(self, row):
            if broken.pop(0):
                hook.writer.add_event = hook.writer.flush = refuse

    def refuse(*_):
        raise OSError("No space left on device")

    run = trained([Failing(), hook], output=tmp_path / "mine")
    assert said == [f"TensorBoard({str(tmp_path)!r}) cannot be written: No space left on device. "
                    "The run goes on; it is tried again."]  # fmt: skip
    check(read(tmp_path / "mine"), run)


def test_a_store_that_fails_at_once_ends_the_run_before_its_first_step(tmp_path, monkeypatch):
    def refuse(*_):
        raise PermissionError("no")

    hook = cr.TensorBoard(tmp_path)
    monkeypatch.setattr(tensorboard.TensorBoard, "open", refuse)
    with pytest.raises(cr.OutputError, match=r"TensorBoard\('.*'\) cannot be written: no\. No step was done\."):
        trained([hook], output=tmp_path / "mine")
    assert not (tmp_path / "mine" / "history.jsonl").read_text()


def test_a_place_that_cannot_be_written_is_refused(tmp_path, monkeypatch):
    (tmp_path / "file").touch()
    with pytest.raises(cr.ConfigError, match=r"^the TensorBoard folder .*/file is a file; name a directory$"):
        cr.TensorBoard(tmp_path / "file")

    def refuse(*_, **__):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(tensorboard, "TemporaryFile", refuse)
    with pytest.raises(cr.OutputError, match=r"could not be written: Permission denied\. .* choose another place"):
        cr.TensorBoard(tmp_path)


def test_without_the_library_it_says_what_to_install(monkeypatch, tmp_path):
    monkeypatch.setattr("chainrule.tracking.tracker.find_spec", lambda name: None)
    with pytest.raises(cr.ConfigError) as caught:
        cr.TensorBoard(tmp_path)
    assert str(caught.value) == (
        "tracking with tensorboard needs tensorboard, which is not installed: pip install 'chainrule[tensorboard]'"
    )


def test_tracking_changes_nothing_of_the_run(tmp_path):
    plain, tracked = trained([]), trained([cr.TensorBoard(tmp_path)])
    for run in (plain, tracked):
        for row in run.history:
            del row["seconds"], row["rows_per_second"]
    assert json.dumps(plain.history) == json.dumps(tracked.history)

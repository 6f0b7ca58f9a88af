"""Damaged files are detected or harmless, never silent; a damaged checkpoint is named and the previous one used."""

import json

import pytest

import chainrule as cr
from chainrule.runs import checkpoint
from faults.compared import fingerprint
from faults.damage import campaign, made


def test_no_damage_is_silent(tmp_path):
    outcomes = campaign(2_000, 1, tmp_path)
    assert set(outcomes) <= {"detected", "harmless"}, outcomes
    assert outcomes["detected"] > 1_500


def resumed(run, **options):
    warnings = []
    done = cr.train_config(None, run, resume=True, warn=warnings.append, **options)
    return done, warnings


def test_a_damaged_checkpoint_is_named_and_the_previous_one_used(tmp_path):
    run = made(tmp_path)
    expected = fingerprint(run)
    arrays = run / "checkpoints" / "step-00000006" / "arrays.safetensors"
    raw = bytearray(arrays.read_bytes())
    raw[-1] ^= 1
    arrays.write_bytes(raw)
    _, warnings = resumed(run)
    assert len(warnings) == 1
    assert f"{arrays} is damaged: its SHA-256 is" in warnings[0]
    assert "the run goes on from step-00000003" in warnings[0]
    assert fingerprint(run) == expected
    assert (run / "checkpoints" / "step-00000006.damaged").is_dir()


def test_without_a_sound_checkpoint_nothing_is_trained(tmp_path):
    run = made(tmp_path)
    for path in (run / "checkpoints").rglob("state.json"):
        path.write_bytes(path.read_bytes()[:-5])
    with pytest.raises(cr.DamagedError, match=r"no checkpoint of .* is sound"):
        resumed(run)


def test_resuming_mends_a_damaged_model(tmp_path):
    run = made(tmp_path)
    expected = fingerprint(run)
    (run / "model" / "weights.safetensors").write_bytes(b"")
    with pytest.raises(cr.DamagedError):
        cr.load_run(run)
    resumed(run)
    assert fingerprint(run) == expected
    cr.load_run(run)


def test_swapped_folders_are_detected(tmp_path):
    run = made(tmp_path)
    first, last = (run / "checkpoints" / f"step-0000000{n}" for n in (3, 6))
    first.rename(tmp_path / "aside")
    last.rename(first)
    (tmp_path / "aside").rename(last)
    for path in (first, last):
        with pytest.raises(cr.DamagedError, match="its name does not fit the step"):
            checkpoint.load(path)


def test_a_key_written_twice_is_no_manifest_of_ours(tmp_path):
    run = made(tmp_path)
    path = run / "model" / "manifest.json"
    path.write_text(json.dumps(json.loads(path.read_text())))
    with pytest.raises(cr.DamagedError, match="it is not as it was written"):
        cr.load_model(run / "model")

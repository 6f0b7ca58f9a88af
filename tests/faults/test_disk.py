"""A full disk, a read-only folder, unicode and very long names: a clear error, and what was there stays."""

import subprocess

import pytest

import chainrule as cr
from faults.compared import fingerprint, litter

DIGITS = cr.read("digits")


def train(run, hidden=8, **options):
    return cr.train(cr.mlp([hidden]), DIGITS, output=run, compute=cr.Compute(backend="numpy", threads=1),
                    training=cr.Training(iterations=6, batch_size=8), checkpoint=cr.Checkpoint(every_steps=3), **options)  # fmt: skip


@pytest.fixture
def small_disk(tmp_path):
    disk = tmp_path / "disk"
    disk.mkdir()
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=512k", "tmpfs", disk], capture_output=True, text=True)
    if mounted.returncode:
        pytest.skip(f"a small file system cannot be mounted here: {mounted.stderr.strip()}")
    yield disk
    subprocess.run(["umount", disk], check=True)


def test_a_full_disk_stops_with_an_error_and_resumes_when_there_is_room(small_disk, tmp_path):
    train(tmp_path / "reference", 64)
    filler = small_disk / "filler"
    filler.write_bytes(bytes(400_000))
    with pytest.raises(cr.OutputError, match="No space left on device"):
        train(small_disk / "run", 64)
    assert litter(small_disk) == []
    filler.unlink()
    train(small_disk / "run", 64, resume=True)
    assert fingerprint(small_disk / "run") == fingerprint(tmp_path / "reference")


def test_a_read_only_folder_is_refused_and_stays_as_it_was(small_disk):
    train(small_disk / "run")
    before = fingerprint(small_disk / "run")
    subprocess.run(["mount", "-o", "remount,ro", small_disk], check=True)
    with pytest.raises(cr.OutputError, match="Read-only file system"):
        train(small_disk / "run", resume=True)
    with pytest.raises(cr.OutputError, match="Read-only file system"):
        train(small_disk / "other")
    assert fingerprint(small_disk / "run") == before


@pytest.mark.parametrize("name", ["ein Lauf mit Ümläuten und 火", "n" * 255, "😀" * 60])
def test_names_of_any_kind_hold_a_run(name, tmp_path):
    train(tmp_path / name)
    assert cr.load_run(tmp_path / name).metrics["steps"] == 6


def test_a_name_that_is_too_long_is_said_to_be():
    with pytest.raises(cr.OutputError, match="File name too long"):
        train("x" * 300)

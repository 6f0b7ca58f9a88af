"""Built once, kept in a folder of the user's own, never needed."""

import os
import shutil
import stat

import numpy as np
import pytest
import torch

import chainrule as cr
from chainrule.backends import choice
from chainrule.backends.torch_backend import TorchBackend
from chainrule.kernels import build


@pytest.fixture
def home(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    return tmp_path


def need_compiler():
    if build.library(threaded=False) is None:
        pytest.skip("no C compiler here")


def test_it_is_built_once_and_then_loaded(home, monkeypatch):
    need_compiler()
    [made] = (home / "chainrule").iterdir()
    assert stat.S_IMODE(made.stat().st_mode) == 0o700
    assert stat.S_IMODE((home / "chainrule").stat().st_mode) == 0o700
    monkeypatch.setattr(build.subprocess, "run", None)
    assert build.library(threaded=False) is not None


@pytest.mark.parametrize("what", ["file", "folder"])
def test_code_that_others_can_write_is_not_loaded(home, what, monkeypatch):
    need_compiler()
    [made] = (home / "chainrule").iterdir()
    (made if what == "file" else made.parent).chmod(0o777)
    monkeypatch.setattr(build, "_build", lambda *_: False)
    assert build.library(threaded=False) is None


def test_a_link_in_its_place_is_not_loaded(home, monkeypatch):
    need_compiler()
    [made] = (home / "chainrule").iterdir()
    made.rename(home / "elsewhere.so")
    made.symlink_to(home / "elsewhere.so")
    monkeypatch.setattr(build, "_build", lambda *_: False)
    assert build.library(threaded=False) is None


def test_without_a_compiler_or_a_place_nothing_is_built_and_all_works(home, monkeypatch):
    monkeypatch.setenv("CC", "/nowhere/cc")
    monkeypatch.setenv("PATH", "")
    assert build.library(threaded=False) is None
    made = cr.backends.choose(cr.Compute("numpy", threads=1), 0.0, 1e9)
    assert made.kernels is None
    monkeypatch.setenv("XDG_CACHE_HOME", os.devnull)
    assert build.library(threaded=False) is None


def test_another_compiler_is_another_library(home, monkeypatch):
    need_compiler()
    gcc = shutil.which("cc") or shutil.which("gcc")
    wrapper = home / "own-cc"
    wrapper.write_text(f'#!/bin/sh\nexec {gcc} "$@"\n')
    wrapper.chmod(0o700)
    monkeypatch.setenv("CC", str(wrapper))
    assert build.library(threaded=False) is not None
    assert len(list((home / "chainrule").iterdir())) == 2


def test_a_long_run_builds_it_a_short_one_does_not(home):
    need_compiler()
    [made] = (home / "chainrule").iterdir()
    made.unlink()
    assert cr.backends.choose(cr.Compute("numpy", threads=1), 0.0, 1.0).kernels is None
    assert list((home / "chainrule").iterdir()) == []
    assert cr.backends.choose(cr.Compute("numpy", threads=1, compiled="never"), 0.0, 1e9).kernels is None
    assert cr.backends.choose(cr.Compute("numpy", threads=1), 0.0, 1e6).kernels is not None


def test_always_builds_it_for_a_short_run_and_for_none_but_a_training(home):
    need_compiler()
    always = cr.Compute("numpy", threads=1, compiled="always")
    assert cr.backends.choose(always, 0.0, 1.0).kernels is not None
    assert cr.backends.choose(always, 0.0).kernels is None
    run = cr.train(cr.mlp([20]), cr.read("digits"), training=cr.Training(iterations=3), compute=always)
    assert run.environment["compiled"]


def test_always_is_refused_where_there_can_be_no_kernels(home, monkeypatch):
    def refused(compute):
        with pytest.raises(cr.ConfigError) as caught:
            cr.backends.choose(compute, 0.0, 1.0)
        return str(caught.value)

    assert refused(cr.Compute("numpy", precision="float64", compiled="always")) == (
        "compute.compiled 'always' with precision 'float64': there are no kernels; they need Linux, a C compiler ($CC, cc "
        "or gcc) and precision 'float32' or 'bfloat16'; use 'auto', which does without"
    )
    monkeypatch.setattr(build, "_build", lambda *_: False)
    assert "with precision 'float32': there are no kernels" in refused(cr.Compute("numpy", compiled="always"))
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(TorchBackend, "compile", lambda _: None)
    on_gpu = cr.Compute("torch", "cuda", "float32", compiled="always")
    assert "they need Triton and precision" in refused(on_gpu)


def test_a_long_run_with_them_is_a_run_without_but_for_roundings(home, monkeypatch):
    need_compiler()
    monkeypatch.setattr(choice, "BUILDING", 0.0)
    runs = [cr.train(cr.mlp([20], dropout=0.2), cr.read("digits"), training=cr.Training(epochs=2),
                     compute=cr.Compute("numpy", threads=1, compiled=how)) for how in ("auto", "never")]  # fmt: skip
    assert [run.environment["compiled"] for run in runs] == [True, False]
    for name, value in runs[0].model.parameters.items():
        np.testing.assert_allclose(value, runs[1].model.parameters[name], rtol=1e-3, atol=1e-3)

"""The choice of backend, device, precision and threads: its reason, and what it refuses."""

import os

import pytest
import torch

import chainrule as cr
from chainrule.backends import choose, hardware
from chainrule.backends.choice import SMALL_STEP, available_threads


def said(compute: cr.Compute, flops: float = 1e9) -> str:
    return repr(choose(compute, flops))


def test_small_steps_run_on_numpy_large_ones_and_those_to_derive_on_torch():
    compute = cr.Compute(threads=2)
    assert said(compute, 1.4e6) == (
        "numpy on cpu in float32, 2 threads (a small step, 1.4 MFLOP, where call overhead rules)"
    )
    assert choose(compute, SMALL_STEP).name == "torch"
    bare = choose(cr.Compute(precision="float32", device="cpu", threads=1), 1.4e6, derived=["Mine", "Mine", "Other"])
    assert repr(bare) == "torch on cpu in float32, 1 thread (without a pullback: Mine, Other)"
    assert choose(cr.Compute("numpy"), 1.4e6, derived=["Mine"]).name == "numpy"
    assert said(cr.Compute(precision="float32", device="cpu", threads=1), 2e9) == (
        "torch on cpu in float32, 1 thread (a step of 2,000 MFLOP)"
    )


@pytest.mark.parametrize(
    ("amx", "avx512", "precision", "reason"),
    [
        (True, True, "bfloat16", "the CPU has AMX"),
        (False, True, "bfloat16", "the CPU has AVX-512 bfloat16"),
        (False, False, "float32", "the CPU has no fast bfloat16"),
    ],
)
def test_bfloat16_is_taken_where_the_processor_multiplies_it(monkeypatch, amx, avx512, precision, reason):
    monkeypatch.setattr(torch.cpu, "_is_amx_tile_supported", lambda: amx)
    monkeypatch.setattr(torch.cpu, "_is_avx512_bf16_supported", lambda: avx512)
    backend = hardware.torch_backend("cpu", "auto", 1, "why")
    assert (backend.precision, backend.reason) == (precision, f"why; {reason}")
    assert backend.master == torch.float32


def test_a_long_plain_training_without_fast_bfloat16_is_programs_on_few_threads(monkeypatch):
    for name in ("_is_amx_tile_supported", "_is_avx512_bf16_supported"):
        monkeypatch.setattr(torch.cpu, name, lambda: False)
    if not choose(cr.Compute("numpy"), 0.0, 1e9).programs:  # training/test_programmed.py fails where that is a fault
        pytest.skip("no C compiler here, or NumPy is not from its wheel")
    long, few = {"steps": 1e6, "plain": True}, cr.Compute(threads=2)
    assert repr(choose(few, 2e9, **long)) == (
        "numpy on cpu in float32, 2 threads (a step of 2,000 MFLOP; the CPU has no fast bfloat16: programs)"
    )
    others = [(cr.Compute(threads=3), long), (few, {"steps": 1e6}), (few, {"steps": 10, "plain": True}),
              (cr.Compute(threads=2, precision="float32"), long), (cr.Compute(threads=2, backend="torch"), long),
              (cr.Compute(threads=2, compiled="never"), long)]  # fmt: skip
    assert [choose(compute, 2e9, **how).name for compute, how in others] == ["torch"] * len(others)
    monkeypatch.setattr(torch.cpu, "_is_avx512_bf16_supported", lambda: True)
    assert choose(few, 2e9, **long).name == "torch"


def test_by_hand_is_as_asked():
    for name in ("numpy", "torch"):
        for precision in ("float32", "float64"):
            backend = choose(cr.Compute(backend=name, precision=precision, threads=1), 1.0)
            assert (backend.name, backend.precision, backend.reason) == (name, precision, "asked for")


@pytest.mark.parametrize(
    ("compute", "message"),
    [
        (
            cr.Compute(backend="numpy", device="cuda"),
            "device 'cuda' with backend 'numpy': NumPy computes on the CPU; use 'torch'",
        ),
        (
            cr.Compute(backend="numpy", precision="bfloat16"),
            "precision 'bfloat16' with backend 'numpy': NumPy has no bfloat16; use 'torch' or 'float32'",
        ),
        (
            cr.Compute(device="cuda:1"),
            f"device 'cuda:1': PyTorch {torch.__version__} sees no CUDA device here; use 'cpu' or 'auto'",
        ),
    ],
)
def test_what_cannot_be_is_refused(monkeypatch, compute, message):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    with pytest.raises(cr.ConfigError) as caught:
        choose(compute, 1.0)
    assert str(caught.value) == message


def test_without_torch_auto_is_numpy_and_asking_for_torch_is_refused(monkeypatch):
    monkeypatch.setattr("chainrule.backends.choice.find_spec", lambda name: None)
    assert choose(cr.Compute(threads=1), 1e12, derived=["Mine"]).reason == "PyTorch is not installed"
    for compute, asked in (
        (cr.Compute(backend="torch"), "backend 'torch'"),
        (cr.Compute(precision="bfloat16"), "CUDA or bfloat16"),
        (cr.Compute(device="cuda"), "CUDA or bfloat16"),
    ):
        with pytest.raises(cr.ConfigError) as caught:
            choose(compute, 1e12)
        assert str(caught.value) == (
            f"{asked} needs PyTorch, which is not installed; pip install 'chainrule[torch]', or use backend 'numpy'"
        )


def test_threads_are_those_asked_for_or_the_environments_or_all_cores(monkeypatch):
    monkeypatch.setenv("OMP_NUM_THREADS", "3")
    assert available_threads() == 3
    assert choose(cr.Compute(backend="numpy", threads=1), 1.0).threads == 1
    assert choose(cr.Compute(backend="numpy"), 1.0).threads == 3
    for nonsense in ("", "0", "many"):
        monkeypatch.setenv("OMP_NUM_THREADS", nonsense)
        assert available_threads() == len(os.sched_getaffinity(0))


def test_a_scope_sets_threads_and_puts_them_back():
    before = torch.get_num_threads()
    backend = choose(cr.Compute(backend="torch", threads=before + 1), 1.0)
    with backend.scope():
        assert torch.get_num_threads() == before + 1
        assert not torch.is_grad_enabled()
    assert torch.get_num_threads() == before
    assert torch.is_grad_enabled()


@pytest.mark.parametrize(
    ("native", "precision", "found"),
    [(True, "bfloat16", "the GPU multiplies bfloat16 natively"), (False, "float32", "the GPU has no native bfloat16")],
)
def test_a_gpu_is_taken_where_there_is_one(monkeypatch, native, precision, found):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    # emulated bfloat16, which torch would count by default, is slower than float32
    monkeypatch.setattr(torch.cuda, "is_bf16_supported", lambda including_emulation=True: native or including_emulation)
    assert said(cr.Compute(threads=1), 2e9) == (
        f"torch on cuda in {precision}, 1 thread (a step of 2,000 MFLOP; {found})"
    )
    assert said(cr.Compute(device="cuda:1", threads=1), 1.0) == (
        f"torch on cuda:1 in {precision}, 1 thread (asked for; {found})"
    )
    assert choose(cr.Compute(device="cpu"), 2e9).device == "cpu"


@pytest.mark.parametrize(
    ("options", "problem"),
    [
        ({"backend": "jax"}, "backend: should be 'auto', 'numpy' or 'torch', got 'jax'"),
        ({"device": "gpu"}, "device: "),
        (
            {"precision": "float16"},
            "precision: should be 'auto', 'float64', 'float32' or 'bfloat16', got 'float16'",
        ),
        ({"threads": 0}, "threads: should be greater than 0, got 0"),
    ],
)
def test_options_that_are_unknown_are_refused(options, problem):
    with pytest.raises(cr.ConfigError) as caught:
        cr.Compute(**options)
    assert str(caught.value).startswith(f"Compute: {problem}")

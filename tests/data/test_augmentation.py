"""Augmentation moves pixels, each image in its own way, the same at the same step, on both backends."""

import numpy as np
import pytest

import chainrule as cr
from chainrule.backends import choose
from chainrule.data.augmentation import mixed

SHAPE = (3, 5, 7)
BATCH = np.arange(1, 4 * 105 + 1, dtype=np.uint16).reshape(4, 105)


def moved(augment, step=0, backend="numpy"):
    made = choose(cr.Compute(backend=backend, precision="float32"), 1)
    made.kernels = None
    return made.numpy(prepared(augment, made, BATCH.astype(np.float32), step))


def prepared(augment, made, X, step, shift=0.0, scale=1.0):
    moves = augment.moves(len(X), SHAPE, 1, step)
    affine = (made.array(np.full(X.shape[1], value, np.float32)) for value in (shift, scale))
    return made.prepare_moved(made.array(X), np.arange(len(X)), moves, augment.cutout, SHAPE, *affine)


def by_hand(image, down, right, flip):
    """Reflection at the edges is NumPy's pad mode "reflect"."""
    padded = np.pad(image, ((0, 0), (2, 2), (2, 2)), mode="reflect")
    cut = padded[:, 2 + down : 7 + down, 2 + right : 9 + right]
    return cut[:, :, ::-1] if flip else cut


def test_every_image_is_one_of_the_shifts_and_mirrors():
    for step in range(5):
        for before, after in zip(BATCH.reshape(4, *SHAPE), moved(cr.Augment(flip=True, shift=2), step), strict=True):
            every = [by_hand(before, d, r, f) for d in range(-2, 3) for r in range(-2, 3) for f in (False, True)]
            assert any(np.array_equal(after.reshape(SHAPE), one) for one in every)


def test_steps_differ_and_repeat_and_backends_agree():
    augment = cr.Augment(flip=True, shift=2)
    np.testing.assert_array_equal(moved(augment, 3), moved(augment, 3))
    np.testing.assert_array_equal(moved(augment, 3), moved(augment, 3, "torch"))
    assert (moved(augment, 3) != moved(augment, 4)).any()


def test_no_augmentation_is_false_and_tables_are_refused():
    assert not cr.Augment()
    with pytest.raises(cr.ConfigError, match=r"a row has shape \(columns\); expected images"):
        cr.Augment(flip=True).check(())
    with pytest.raises(cr.ConfigError, match=r"data\.augment\.shift 5 is not below the images' smaller side, 5 pixels"):
        cr.Augment(shift=5).check(SHAPE)
    with pytest.raises(cr.ConfigError, match=r"data\.augment\.cutout 10 would cover every image, .* set it below 10"):
        cr.Augment(cutout=10).check(SHAPE)
    cr.Augment(mixup=0.2).check(())


def test_cutout_covers_one_square_in_all_channels():
    for step in range(20):
        augment = cr.Augment(cutout=3)
        for before, after in zip(BATCH.reshape(4, *SHAPE), moved(augment, step).reshape(4, *SHAPE), strict=True):
            covered = after != before
            assert (covered == covered[:1]).all()
            assert (after[covered] == 0).all()
            rows, columns = np.nonzero(covered[1])
            assert 1 <= len(set(rows)) <= 3
            assert 1 <= len(set(columns)) <= 3
            assert len(rows) == len(set(rows)) * len(set(columns))


@pytest.mark.parametrize("dtype", [np.uint8, np.float32])
@pytest.mark.parametrize(("backend", "precision"), [("numpy", "float32"), ("torch", "float32"), ("torch", "bfloat16")])
def test_the_kernel_has_the_bits_of_the_fallback(dtype, backend, precision):
    made = choose(cr.Compute(backend=backend, precision=precision), 1)
    made.compile()
    assert made.kernels is not None
    X = np.arange(4 * 105).reshape(4, 105).astype(dtype)
    for step in range(10):
        augment = cr.Augment(flip=True, shift=2, cutout=3)
        found = made.numpy(prepared(augment, made, X, step, 3.0, 0.7))
        kernels, made.kernels = made.kernels, None
        np.testing.assert_array_equal(found, made.numpy(prepared(augment, made, X, step, 3.0, 0.7)))
        made.kernels = kernels


def test_mixup_mixes_rows_and_targets_alike():
    partner, share = cr.Augment(mixup=0.4).mixture(50, 1, 7)
    assert sorted(partner) == list(range(50))
    assert ((share >= 0) & (share <= 1)).all()
    values = np.random.default_rng(0).normal(size=(50, 3))
    by_hand = share[:, None] * values + (1 - share[:, None]) * values[partner]
    np.testing.assert_allclose(mixed(values, partner, share, np), by_hand)
    np.testing.assert_allclose(mixed(values[:, 0], partner, share, np), by_hand[:, 0])


@pytest.mark.parametrize("backend", ["numpy", "torch"])
def test_mixup_trains_every_kind_of_task(backend):
    data = cr.read("digits")
    weight = np.linspace(0.5, 1.5, len(data.y))
    multilabel = (data.y[:, None] > np.arange(3)).astype(float)
    tasks = {"classification": (data.y, "0123456789"), "regression": (data.y.astype(float), "y"),
             "multilabel": (multilabel, "abc")}  # fmt: skip
    for task, (y, names) in tasks.items():
        made = cr.Dataset("made", data.X, y, task, tuple(names), weight=weight)
        options = {"augment": cr.Augment(mixup=0.3), "compute": cr.Compute(backend=backend)}
        run = cr.train(cr.mlp([8]), made, training=cr.Training(epochs=2), **options)
        assert run.history[-1]["train_loss"] < run.history[0]["train_loss"]


def test_mixup_of_shares_of_one_changes_nothing():
    target = np.eye(3)
    np.testing.assert_array_equal(mixed(target, np.array([2, 0, 1]), np.ones(3), np), target)


def test_a_cutout_changes_no_shift_and_no_flip():
    """Its place is drawn last, and only where one is asked for."""
    with_one, without = (cr.Augment(flip=True, shift=3, cutout=n).moves(50, (1, 8, 9), seed=1, step=7) for n in (4, 0))
    np.testing.assert_array_equal(with_one[:, :3], without[:, :3])
    assert not without[:, 3:].any()
    assert len(np.unique(with_one[:, 4])) > 5

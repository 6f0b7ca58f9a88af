"""Augmentation moves pixels, each image in its own way, the same at the same step, on both backends."""

import numpy as np
import pytest

import chainrule as cr
from chainrule.backends import choose

SHAPE = (3, 5, 7)
BATCH = np.arange(4 * 105, dtype=np.uint16).reshape(4, 105)


def moved(augment, step=0, backend="numpy"):
    made = choose(cr.Compute(backend=backend), 1)
    return made.numpy(augment(made.array(BATCH.astype(np.float32)), SHAPE, 1, step, made))


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

"""Training on tables with words and gaps: the embedding is placed, seeds share their steps, what cannot be is refused."""

import numpy as np
import pytest

import chainrule as cr
from tabular import data, trained

NUMPY = cr.Compute(backend="numpy", threads=1)
SHORT = cr.Training(epochs=2, batch_size=50)


def test_the_network_begins_with_an_embedding_and_the_notes_say_what_becomes_of_columns() -> None:
    from chainrule.runs.start import planned

    run = trained()
    assert repr(run.model.network).startswith("Network(10 | embedding 8 | linear 8 | relu")
    assert run.config.data.preprocessing == "robust"
    assert planned(run.config, data(), cr.mlp([8])).notes == (
        "the task is regression, told from the target: 'price' holds numbers that are not whole; data.task overrides it",
        "1 column one-hot (colour)",
        "1 column embedded, having more than 9 categories (city)",
        "1 column with gaps: the median there, and an indicator (age)",
        "1 column is constant over the training rows (const): given as 0",
    )  # fmt: skip


def test_it_learns_from_words_and_gaps() -> None:
    run = cr.train(cr.mlp([32]), data(2000), training=cr.Training(epochs=30, batch_size=50),
                   optimizer=cr.Adam(lr=3e-3), compute=NUMPY)  # fmt: skip
    y = data(2000).y
    # Without the city the rest explains at most 1 - 0.75/var; gaps in age hide a fifth of a variance of 1.
    assert run.metrics["model"]["validation_rmse"] < 0.6 * y.std()


def test_seeds_trained_together_have_the_bits_of_each_alone() -> None:
    together = cr.train(cr.mlp([8]), data(), training=SHORT, compute=NUMPY, seeds=3)
    for seed, run in enumerate(together):
        alone = cr.train(cr.mlp([8]), data(), training=cr.Training(epochs=2, batch_size=50, seed=seed), compute=NUMPY)
        for name, array in alone.model.parameters.items():
            np.testing.assert_array_equal(run.model.parameters[name], array)


@pytest.mark.parametrize("backend", ["numpy", "torch"])
def test_backends_agree_in_float64(backend: str) -> None:
    compute = cr.Compute(backend=backend, precision="float64", threads=1)  # type: ignore[arg-type]
    run = cr.train(cr.mlp([8]), data(), training=SHORT, compute=compute)
    reference = trained(compute=cr.Compute(backend="numpy", precision="float64", threads=1))
    for name, array in reference.model.parameters.items():
        np.testing.assert_allclose(run.model.parameters[name], array, rtol=1e-9, atol=1e-12)


def test_bfloat16_keeps_codes_apart() -> None:
    compute = cr.Compute(backend="torch", precision="bfloat16", device="cpu", threads=1)
    run = cr.train(cr.mlp([8]), data(), training=SHORT, compute=compute)
    assert abs(run.history[-1]["train_loss"] - trained().history[-1]["train_loss"]) < 0.02


def test_its_gradients_are_proved_on_its_own_rows(tmp_path) -> None:
    from chainrule.verify.configured import check_config
    from tabular import written

    changes = [f"data.source={str(written(tmp_path))!r}", "data.target='price'", "network.hidden=[5]"]
    assert {one.verdict for one in check_config(None, changes, 6, 4)} == {"pass"}


def test_an_own_embedding_must_fit() -> None:
    fits = cr.Network((cr.Embedding((15,), width=3), cr.Linear(4), cr.Tanh(), cr.Linear()))
    run = cr.train(fits, data(), training=SHORT, compute=NUMPY)
    assert run.model.network.widths[1] == 8 + 3
    with pytest.raises(cr.ConfigError) as caught:
        cr.train(cr.Network((cr.Embedding((4,)), cr.Linear())), data(), training=SHORT)
    assert str(caught.value) == (
        "the network's embedding has sizes (4,), but the columns of table need (15,); leave the layer out, and one that "
        "fits is put before the others"
    )
    with pytest.raises(cr.ConfigError, match="the columns of digits need none"):
        cr.train(cr.Network((cr.Embedding((4,)), cr.Linear())), cr.read("digits"), training=SHORT)


def test_codes_cannot_be_mixed() -> None:
    with pytest.raises(cr.ConfigError) as caught:
        cr.train(cr.mlp([8]), data(), training=SHORT, augment=cr.Augment(mixup=0.2))
    assert str(caught.value) == (
        "data.augment.mixup 0.2 mixes rows, and the codes of city cannot be mixed; set it to 0, or remove columns of "
        "more than 9 categories"
    )


def test_pixels_that_are_prepared_one_by_one_cannot_move() -> None:
    with pytest.raises(cr.ConfigError) as caught:
        cr.train(cr.mlp([8]), cr.read("digits"), training=SHORT, preprocessing="robust", augment=cr.Augment(flip=True))
    assert str(caught.value) == (
        "data.augment moves pixels, which preprocessing 'robust' has made numbers of their own columns; set "
        "data.preprocessing to another kind"
    )


def test_a_start_brings_its_own_words() -> None:
    first = trained()
    half = data().take(np.arange(150))
    some = cr.Dataset("half", half.X, data().y[:150], "regression", ("price",), half.names,
                      categories=half.categories)  # fmt: skip
    on = cr.train(cr.mlp([8]), some, training=SHORT, compute=NUMPY, start=first.model)
    assert on.model.preprocessing is first.model.preprocessing
    plain = cr.Dataset("plain", np.zeros((40, 5)), np.arange(40.0), "regression", ("price",))
    with pytest.raises(cr.ConfigError) as caught:
        cr.train(cr.mlp([8]), some, start=cr.train(cr.mlp([8]), plain, training=SHORT.__class__(epochs=1)).model)
    assert str(caught.value) == (
        "the model to go on from takes numbers without gaps, and half has words or gaps; give it the table that it was "
        "trained on, or train anew"
    )

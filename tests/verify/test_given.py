"""Checks refuse what cannot be checked, before any work."""

import numpy as np
import pytest

import chainrule as cr
from chainrule.verify import check_layer, check_loss, check_network, passed

NETWORK, ROWS, CLASSES = cr.mlp([4]).sized(3, 2), np.ones((4, 3)), np.array([0, 1, 0, 1])


@pytest.mark.parametrize(
    ("check", "message"),
    [
        (lambda: check_layer(cr.Tanh(), 0), "n_in is 0; expected a whole number of at least 1"),
        (lambda: check_layer(cr.Tanh(), "3"), "n_in is '3'; expected a whole number of at least 1"),
        (lambda: check_layer(cr.Tanh(), 2.5), "n_in is 2.5; expected a whole number of at least 1"),
        (lambda: check_layer(cr.Tanh(), 3, rows=0), "rows is 0; expected a whole number of at least 1"),
        (lambda: check_layer(cr.Tanh(), 3, n_entries=0), "n_entries is 0; expected a whole number of at least 1"),
        (lambda: check_loss(cr.Huber(), True, ROWS), "n_out is True; expected a whole number of at least 1"),
        (lambda: check_loss(cr.Huber(), 3, ROWS, n_entries=0), "n_entries is 0; expected a whole number of at least 1"),
        (lambda: check_loss(cr.Huber(), 1, [[0.0]]), "target is [[0.0]]; expected an array, such as np.array([0, 1])"),
        (lambda: check_network(NETWORK, cr.Huber(), "rows", ROWS), "x is 'rows'; expected an array of numbers"),
        (lambda: check_network(NETWORK, cr.SoftmaxCrossEntropy(), ROWS, CLASSES, n_entries=0),
         "n_entries is 0; expected a whole number of at least 1"),
    ],
)  # fmt: skip
def test_arguments_that_cannot_be_checked_are_refused(check, message):
    with pytest.raises(cr.ConfigError) as caught:
        check()
    assert str(caught.value) == message


@pytest.mark.parametrize(
    ("loss", "target", "message"),
    [
        (cr.SoftmaxCrossEntropy(), CLASSES + 1, "target is 2 at row 1; expected class indices from 0 to 1"),
        (cr.SoftmaxCrossEntropy(), -CLASSES, "target is -1 at row 1; expected class indices from 0 to 1"),
        (cr.SoftmaxCrossEntropy(), np.ones((4, 2)),
         "target is [1.0, 1.0] at row 0; expected probabilities whose rows sum to 1"),
        (cr.SoftmaxCrossEntropy(), np.ones((4, 3)),
         "target has shape (4, 3) of float64; expected numbers of shape (4,) or (4, 2)"),
        (cr.SquaredError(), np.ones(4), "target has shape (4,) of float64; expected numbers of shape (4, 2)"),
        (cr.SigmoidCrossEntropy(), np.full((4, 2), "a"), "target has shape (4, 2) of <U1; expected numbers of shape (4, 2)"),
        (cr.Huber(), np.ones((0, 2)), "target has shape (0, 2); expected at least one row"),
    ],
)  # fmt: skip
def test_targets_that_no_loss_takes_are_refused(loss, target, message):
    for check in (lambda: check_loss(loss, 2, target), lambda: check_network(NETWORK, loss, ROWS, target)):
        with pytest.raises(cr.DataError) as caught:
            check()
        assert str(caught.value) == message


def test_rows_and_weights_that_do_not_fit_are_refused():
    loss = cr.SoftmaxCrossEntropy()
    with pytest.raises(cr.DataError, match=r"^x has shape \(4, 2\); expected \(batch, 3\), a row for each target$"):
        check_network(NETWORK, loss, ROWS[:, :2], CLASSES)
    with pytest.raises(cr.DataError, match=r"^target has shape \(3,\) of int64; expected numbers of shape \(4,\) or"):
        check_network(NETWORK, loss, ROWS, CLASSES[:3])
    for check in (lambda w: check_loss(loss, 2, CLASSES, w), lambda w: check_network(NETWORK, loss, ROWS, CLASSES, w)):
        with pytest.raises(cr.DataError, match=r"^weight has shape \(3,\); expected \(4,\), a weight for each row$"):
            check(np.ones(3))


def test_members_and_class_indices_of_any_number_are_checked():
    members = cr.mlp([4], members=2).sized(3, 2)
    assert passed(check_network(members, cr.SoftmaxCrossEntropy(), ROWS, CLASSES, n_entries=2))
    assert passed(check_loss(cr.SoftmaxCrossEntropy(), 2, CLASSES.astype(np.uint8), [1, 2, 1, 2]))

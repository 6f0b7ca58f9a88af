"""Questions 2d and 3a: errors below the report's bound, and the toy set learnt by heart."""

from chainrule.replication.first_questions import gradients, overfitting, toy_set


def test_gradients_are_within_the_bound_of_question_2d():
    found = gradients()
    assert {row["parameter"] for row in found["rows"]} == {"0.W", "0.b", "2.W", "2.b"}
    assert {row["against"] for row in found["rows"]} == {"central differences", "autograd", "numpy against torch"}
    assert found["holds"]
    assert 0 < found["largest"] < 1e-8


def test_the_toy_set_is_that_of_the_exercise_and_is_learnt_by_heart():
    assert toy_set().X[0, 0] == 16.243453636632417  # the first number of NumPy's seed 1, times 10
    found = overfitting()
    assert len(found["curve"]) == 100
    assert found["last"] <= 0.02
    assert found["holds"]

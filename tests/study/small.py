"""Small studies of the digits."""

from chainrule.study.config import study

TRAIN = {"training": {"epochs": 2, "batch_size": 64}, "compute": {"threads": 1}}
SPACE = {"network.hidden": [[5], [10]], "optimizer.lr": {"low": 1e-3, "high": 1e-1, "log": True}}


def asked(space=SPACE, train=TRAIN, **tables):
    search = {"sampler": "random", "trials": 4} | tables.pop("search", {})
    finalists = {"n": 1, "seeds": 2} | tables.pop("finalists", {})
    return study({"train": train, "space": space, "search": search, "finalists": finalists} | tables, "small")


def values(outcome):
    return {one.number: (one.state, one.value, one.seed_values, one.params) for one in outcome.trials}

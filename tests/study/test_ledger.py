"""The ledger keeps what it is told, is quick to list, and says what is wrong with a database."""

import gc
import time
from contextlib import closing
from dataclasses import replace

import pytest
import sqlalchemy as sa

from chainrule.errors import ChainruleError, ConfigError, DamagedError
from chainrule.study.ledger import Trial, open_ledger


@pytest.fixture
def ledger(tmp_path):
    made = open_ledger(f"sqlite:///{tmp_path}/ledger.sqlite", "one")
    made.create(tmp_path, threads=1)
    with closing(made):
        yield made


def test_a_trial_comes_back_as_it_was_entered(ledger):
    trial = Trial(0, 0, {"network.hidden": [3], "optimizer.lr": 0.1}, attempt=1)
    ledger.begin(trial)
    [running] = ledger.trials()
    assert (running.state, running.attempt) == ("running", 1)
    ledger.note([replace(trial, curve=[0.5, 0.25], epochs=2.0)])
    assert ledger.trials()[0].curve == [0.5, 0.25]
    ended = replace(trial, state="finished", value=0.2, seed_values=(0.1, 0.3), epochs=3.0, seconds=1.5, curve=[0.5])
    ledger.end(ended, {"cpu": "x"})
    assert ledger.trials() == [ended]
    assert ledger.environment(ended) == {"cpu": "x"}


def test_every_attempt_is_kept(ledger):
    trial = Trial(0, 0, {}, attempt=1)
    ledger.begin(trial)
    ledger.end(replace(trial, state="waiting", reason="the worker ended with exit code -9"))
    ledger.begin(replace(trial, attempt=2, state="running"))
    ledger.end(replace(trial, attempt=2, state="finished", value=1.0))
    first, second = ledger.attempts()
    assert (first["attempt"], first["outcome"]) == (1, "the worker ended with exit code -9")
    assert (second["attempt"], second["outcome"]) == (2, "finished")


def test_studies_share_a_database_but_not_a_name(ledger, tmp_path):
    other = open_ledger(str(ledger.engine.url), "two")
    assert not other.exists()
    other.create(tmp_path / "elsewhere", threads=2)
    ledger.begin(Trial(0, 0, {}, attempt=1))
    assert other.trials() == []
    assert (ledger.threads(), other.threads()) == (1, 2)
    with pytest.raises(ConfigError, match=r"the database holds a study 'one' in .*, not in .*elsewhere"):
        open_ledger(str(ledger.engine.url), "one").create(tmp_path / "elsewhere", 1)


def test_ten_thousand_trials_are_listed_within_a_second(ledger):
    columns = {"study": "one", "search": 0, "params": '{"optimizer.lr": 0.1}', "state": "finished", "attempt": 1,
               "value": 0.5, "seed_values": "[0.5]", "curve": str([0.5] * 20), "epochs": 20.0, "seconds": 1.0}  # fmt: skip
    table = sa.table("chainrule_trials", *map(sa.column, [*columns, "number"]))
    with ledger.engine.begin() as connection:
        connection.execute(table.insert(), [columns | {"number": number} for number in range(10_000)])
    gc.freeze()  # what other tests left in memory is not gone through again and again
    begin = time.thread_time()  # what it takes, not what else the machine or the process does
    assert len(ledger.trials()) == 10_000
    took = time.thread_time() - begin
    gc.unfreeze()
    assert took < 1.0


def test_values_that_are_no_json_are_named(ledger):
    ledger.begin(Trial(0, 0, {"a": 1}, attempt=1))
    with ledger.engine.begin() as connection:
        connection.execute(sa.text("UPDATE chainrule_trials SET params = '{'"))
    with pytest.raises(DamagedError, match=r"params, seed_values, curve of a trial are no JSON \("):
        ledger.trials()


def test_what_is_wrong_with_a_database_is_said(tmp_path):
    away = f"sqlite:///{tmp_path}/none/x.sqlite"
    unusable = f"the study's database {away} cannot be used: unable to open database file."
    with pytest.raises(ChainruleError) as new:
        open_ledger(away, "one").create(tmp_path, 1)
    assert str(new.value) == f"{unusable} Mend it, or name another with --database"
    with pytest.raises(ChainruleError) as old:
        open_ledger(away, "one").trials()
    assert str(old.value) == f"{unusable} What was entered before is kept; mend it and go on with --resume"
    with pytest.raises(ConfigError, match=r"database 'nonsense': .*expected sqlite:///FILE, or postgresql://"):
        open_ledger("nonsense", "one")
    (tmp_path / "no.sqlite").write_bytes(b"not a database, but long enough to be taken for one" * 20)
    with pytest.raises(
        DamagedError,
        match=r"^the study's database .*/no\.sqlite is no SQLite database, but another file \(file is not a database\); "
        r"bring the ledger back from a copy, name another database, or begin the study anew in another directory$",
    ):
        open_ledger(f"sqlite:///{tmp_path}/no.sqlite", "one").create(tmp_path, 1)


def test_a_database_that_is_torn_is_told_from_one_that_is_away(ledger, tmp_path):
    ledger.begin(Trial(0, 0, {}, attempt=1))
    ledger.close()
    path = tmp_path / "ledger.sqlite"
    whole = path.read_bytes()
    path.write_bytes(whole[:4096] + b"\x7f" * (len(whole) - 4096))
    with pytest.raises(DamagedError, match=r"ledger\.sqlite is a damaged SQLite database \(database disk image is mal"):
        ledger.trials()


def test_a_password_is_not_shown():
    with pytest.raises(ChainruleError) as error:
        open_ledger("postgresql://someone:secret@127.0.0.1:1/none", "one").create("x", 1)
    assert "secret" not in str(error.value)
    assert "cannot be used" in str(error.value)

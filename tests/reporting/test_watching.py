"""The page served while training goes on: to this machine alone, and newly made when there is something new."""

import shutil
from http.client import HTTPConnection
from threading import Thread

import pytest

from chainrule.errors import ConfigError
from chainrule.reporting.watching import Watched, handler_of, serve
from reported import edited, unfinish


@pytest.fixture
def run(runs, tmp_path):
    """A run that has come to its second row."""
    shutil.copytree(runs / "wide" / "seed-0", tmp_path / "run")
    edited(tmp_path / "run", lambda rows: rows[:2])
    unfinish(tmp_path / "run")
    return tmp_path / "run"


@pytest.fixture
def port(run):
    from http.server import ThreadingHTTPServer

    with ThreadingHTTPServer(("127.0.0.1", 0), handler_of(Watched([run], None, None))) as server:
        thread = Thread(target=server.serve_forever, daemon=True)
        thread.start()
        yield server.server_port
        server.shutdown()
        thread.join()


def ask(port, path="/", host=None, method="GET"):
    connection = HTTPConnection("127.0.0.1", port, timeout=20)
    connection.request(method, path, headers={"Host": host or f"127.0.0.1:{port}"})
    answer = connection.getresponse()
    return answer.status, answer.headers, answer.read().decode()


def test_it_answers_to_this_machine_alone(port):
    status, headers, text = ask(port)
    assert status == 200
    assert headers["Content-Type"] == "text/html; charset=utf-8"
    assert headers["Cache-Control"] == "no-store"
    assert headers["X-Frame-Options"] == "DENY"
    assert "connect-src 'self'" in text
    assert ask(port, host=f"localhost:{port}")[0] == 200
    for host in ("evil.example", f"evil.example:{port}", "127.0.0.1", f"127.0.0.1.evil.example:{port}", "[::1]"):
        assert ask(port, host=host)[0] == 403, host
        assert ask(port, "/version", host=host)[0] == 403, host
    assert ask(port, "/../../etc/passwd")[0] == 404
    assert ask(port, "/history.jsonl")[0] == 404
    assert ask(port, method="POST")[0] == 501


def test_a_new_row_is_a_new_page(port, run):
    before, text = ask(port, "/version")[2], ask(port)[2]
    assert ask(port, "/version")[2] == before
    assert ask(port)[2] == text
    edited(run, lambda rows: [*rows, rows[-1] | {"step": 777, "epoch": 9.0}])
    assert ask(port, "/version")[2] != before
    assert "at step 777, epoch 9." in ask(port)[2]


def test_a_run_that_cannot_be_read_just_now_is_said_so(port, run):
    (run / "config.toml").write_text("[networ")
    status, _, text = ask(port)
    assert status == 200
    assert "is not a run of this version" in text


def test_a_study_is_watched_by_its_ledger(study):
    watched = Watched([study], None, None)
    assert watched.version() == watched.version()
    assert "finalist" in watched.text()


def test_what_is_no_run_is_refused_before_serving(tmp_path):
    with pytest.raises(ConfigError, match="holds no run"):
        serve([tmp_path], None, None, 0, lambda url: pytest.fail(url))


def test_the_page_refreshes_itself(browser, port, run):
    context = browser.new_context()
    page = context.new_page()
    errors = []
    page.on("console", lambda message: errors.append(message.text))
    page.goto(f"http://127.0.0.1:{port}/")
    page.wait_for_selector("text=at step 42, epoch 2.")
    log = page.locator("[data-curves=loss]").get_by_role("button", name="log scale")
    log.click()
    page.locator("#figure-loss summary").click()
    page.wait_for_timeout(500)  # the first answer is what later ones are held against
    edited(run, lambda rows: [*rows, rows[-1] | {"step": 63, "epoch": 3.0}])
    page.wait_for_selector("text=at step 63, epoch 3.", timeout=15_000)
    page.wait_for_selector("[data-curves=loss][data-points='6']", state="attached")
    assert log.get_attribute("aria-pressed") == "true"
    assert page.locator("#figure-loss table").is_visible()
    assert errors == []
    context.close()

"""The page in a real browser, without a network: nothing is asked for, curves are drawn and answer, text stays text."""

from contextlib import contextmanager

import pytest

import chainrule as cr


@contextmanager
def opened(browser, file, *, scheme="light", width=1280, script=True):
    """A page of the browser at `file`; on leaving, nothing may have been asked for and no error shown."""
    context = browser.new_context(viewport={"width": width, "height": 900}, color_scheme=scheme, offline=True,
                                  java_script_enabled=script)  # fmt: skip
    page = context.new_page()
    errors, requests = [], []
    page.on("console", lambda message: errors.append(message.text))
    page.on("pageerror", lambda error: errors.append(str(error)))
    page.on("request", lambda request: requests.append(request.url))
    page.goto(file.as_uri())
    yield page
    assert errors == []
    assert [url for url in requests if not url.startswith("data:")] == [file.as_uri()]
    context.close()


@pytest.fixture(scope="module")
def written(runs, tmp_path_factory):
    file = tmp_path_factory.mktemp("page") / "wide.html"
    file.write_text(cr.report(runs / "wide"))
    return file


def points(page, name):
    return int(page.locator(f"[data-curves={name}]").get_attribute("data-points"))


def test_curves_are_drawn_with_every_point(browser, written):
    with opened(browser, written) as page:
        assert points(page, "loss") == 8  # 4 rows of the mean of training and validation
        assert points(page, "learning-rate") == 4
        drawn = page.evaluate("""() => [...document.querySelectorAll("canvas")].map((canvas) => {
            const all = canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height).data;
            let coloured = 0;
            for (let i = 0; i < all.length; i += 4)
              coloured += all[i + 3] > 200 && Math.max(all[i], all[i + 1], all[i + 2]) - Math.min(all[i], all[i + 1], all[i + 2]) > 80;
            return coloured;
        })""")
        assert len(drawn) == 4
        assert all(n > 100 for n in drawn)

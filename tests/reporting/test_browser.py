"""The page in a real browser, without a network: nothing is asked for, curves are drawn and answer, text stays text."""

import shutil
from contextlib import contextmanager

import pytest

import chainrule as cr
from chainrule.reporting.blocks import Matrix, Page, Section, Table
from chainrule.reporting.page import html
from reported import HOSTILE, edited, hostile_runs, unfinish


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
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("pages")


@pytest.fixture(scope="module")
def one(runs, folder):
    """A single run, so every value of a curve is one of its history."""
    file = folder / "one.html"
    file.write_text(cr.report(runs / "wide" / "seed-0"))
    return file


@pytest.fixture(scope="module")
def several(runs, study, folder):
    """Two groups and a study: every kind of figure."""
    file = folder / "several.html"
    file.write_text(cr.report([runs / "wide", runs / "narrow", study]))
    return file


def shows(page, name, n):
    """The chart comes to show n points; it is drawn between two frames, so not at once."""
    page.wait_for_selector(f"[data-curves={name}][data-points='{n}']", state="attached", timeout=5000)


def points(page, name):
    return int(page.locator(f"[data-curves={name}]").get_attribute("data-points"))


def area(plot):
    """Where the lines of a chart are, on the screen."""
    over = plot.locator(".u-over")
    over.scroll_into_view_if_needed()
    return over.bounding_box()


COLOURED = """(canvas) => {
  const all = canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height).data;
  let n = 0;
  for (let i = 0; i < all.length; i += 4)
    n += all[i + 3] > 200 && Math.max(all[i], all[i + 1], all[i + 2]) - Math.min(all[i], all[i + 1], all[i + 2]) > 80;
  return n;
}"""


def test_curves_are_drawn_with_every_point(browser, one, several):
    with opened(browser, one) as page:
        names = page.eval_on_selector_all(".plot", "all => all.map(one => one.dataset.curves)")
        assert names[:4] == ["loss", "accuracy", "learning-rate", "gradient-norm"]
        assert [points(page, name) for name in names[:4]] == [8, 8, 4, 4]  # 4 rows of training and validation
        assert all(n > 100 for n in (canvas.evaluate(COLOURED) for canvas in page.locator("canvas").all()))
    with opened(browser, several) as page:
        assert points(page, "loss") == 16  # the means of two groups
        drawn = [canvas.evaluate(COLOURED) for canvas in page.locator("canvas").all()]
        assert len(drawn) == page.locator(".plot").count() >= 9
        assert all(n > 100 for n in drawn)


def test_hover_reads_values(browser, runs, one):
    history = cr.load_run(runs / "wide" / "seed-0").history
    with opened(browser, one) as page:
        plot = page.locator("[data-curves=loss]")
        assert plot.locator(".at").inner_text() == f"step {history[-1]['step']} (the last)"
        box = area(plot)
        page.mouse.move(box["x"] + 2, box["y"] + box["height"] / 2)
        plot.get_by_text(f"step {history[0]['step']}", exact=True).wait_for(timeout=5000)
        shown = [float(text) for text in plot.locator("output").all_inner_texts()]
        expected = [history[0]["train_loss"], history[0]["validation_loss"]]
        assert shown == pytest.approx(expected, abs=1e-4)


def test_lines_are_toggled_and_scales_changed(browser, one):
    with opened(browser, one) as page:
        plot = page.locator("[data-curves=loss]")
        train = plot.get_by_role("button", name="train")
        train.click()
        shows(page, "loss", 4)
        assert train.get_attribute("aria-pressed") == "false"
        log = plot.get_by_role("button", name="log scale")
        before = plot.locator("canvas").evaluate("canvas => canvas.toDataURL()")
        log.click()
        assert log.get_attribute("aria-pressed") == "true"
        assert plot.locator("canvas").evaluate("canvas => canvas.toDataURL()") != before
        shows(page, "loss", 4)  # still without the training rows
        train.click()
        shows(page, "loss", 8)


def test_a_logarithmic_scale_leaves_out_what_is_not_positive(browser, runs, tmp_path):
    shutil.copytree(runs / "wide" / "seed-0", tmp_path / "run")
    edited(tmp_path / "run", lambda rows: [rows[0] | {"validation_loss": 0.0}, *rows[1:]])
    unfinish(tmp_path / "run")
    file = tmp_path / "zero.html"
    file.write_text(cr.report(tmp_path / "run"))
    with opened(browser, file) as page:
        shows(page, "loss", 8)
        page.locator("[data-curves=loss]").get_by_role("button", name="log scale").click()
        shows(page, "loss", 7)


def test_a_drag_zooms_and_a_button_shows_all_again(browser, one):
    with opened(browser, one) as page:
        plot = page.locator("[data-curves=loss]")
        whole = plot.get_by_role("button", name="whole range")
        assert not whole.is_visible()
        box = area(plot)
        y = box["y"] + box["height"] / 2
        page.mouse.move(box["x"] + box["width"] * 0.2, y)
        page.mouse.down()
        page.mouse.move(box["x"] + box["width"] * 0.8, y, steps=4)
        page.mouse.up()
        shows(page, "loss", 4)  # the two rows in the middle
        plot.get_by_role("button", name="log scale").click()
        shows(page, "loss", 4)  # the zoom stays
        whole.click()
        shows(page, "loss", 8)
        assert not whole.is_visible()


def test_the_keyboard_reaches_and_reads(browser, runs, one):
    steps = [row["step"] for row in cr.load_run(runs / "wide" / "seed-0").history]
    with opened(browser, one) as page:
        page.keyboard.press("Tab")
        assert page.evaluate("document.activeElement.className") == "skip"
        reached = set()
        for _ in range(120):
            page.keyboard.press("Tab")
            reached.add(page.evaluate("document.activeElement.className || document.activeElement.tagName"))
        assert {"A", "BUTTON", "canvas", "SUMMARY", "scroll"} <= reached
        plot = page.locator("[data-curves=loss]")
        canvas = plot.locator(".canvas")
        canvas.focus()
        assert canvas.evaluate("one => getComputedStyle(one).outlineStyle") == "solid"
        for key, step in (("Home", 0), ("ArrowRight", 1), ("End", 3), ("ArrowLeft", 2)):
            page.keyboard.press(key)
            plot.get_by_text(f"step {steps[step]}", exact=True).wait_for(timeout=5000)
        page.keyboard.press("+")
        plot.get_by_role("button", name="whole range").wait_for(timeout=5000)
        assert points(page, "loss") < 8
        page.keyboard.press("Escape")
        shows(page, "loss", 8)


def test_hostile_names_stay_text(browser, tmp_path):
    runs, data = hostile_runs(tmp_path)
    file = tmp_path / "hostile.html"
    file.write_text(cr.report(runs, data))
    with opened(browser, file) as page:
        title = page.title()
        assert title != "owned"
        assert page.evaluate("document.title") == title
        assert "<img src=x onerror" in page.locator("h1").inner_text()
        assert page.locator("img[src=x], b, [onerror]").count() == 0
        assert HOSTILE[:20] in page.locator(".matrix").first.inner_text()


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [360, 1280])
def test_schemes_and_widths(browser, several, scheme, width):
    with opened(browser, several, scheme=scheme, width=width) as page:
        assert page.evaluate("document.documentElement.scrollWidth") == width
        wide = page.evaluate("""() => [...document.querySelectorAll("main *")].filter((one) =>
            !one.closest(".scroll, svg, .u-wrap, pre, details:not([open])") && one.getBoundingClientRect().right > innerWidth + 1
        ).map((one) => one.outerHTML.slice(0, 80))""")
        assert wide == []
        ground, ink = page.evaluate(
            "[getComputedStyle(document.body).backgroundColor, getComputedStyle(document.body).color]"
        )
        assert (brightness(ground) > brightness(ink)) == (scheme == "light")
        assert abs(brightness(ground) - brightness(ink)) > 150


CONTRAST = """() => {
  const light = (rgb) => [0.2126, 0.7152, 0.0722].reduce((sum, weight, i) => {
    const c = rgb[i] / 255;
    return sum + weight * (c <= 0.03928 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4);
  }, 0);
  const parts = (colour) => colour.match(/[\\d.]+/g).map(Number);
  const over = ([r, g, b, a = 1], under) => [r, g, b].map((c, i) => a * c + (1 - a) * under[i]);
  const surface = parts(getComputedStyle(document.querySelector("figure")).backgroundColor);
  return [...document.querySelectorAll(".matrix td")].filter((one) => one.innerText).map((one) => {
    const style = getComputedStyle(one);
    const a = light(over(parts(style.backgroundColor), surface)), b = light(parts(style.color));
    return (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05);
  });
}"""


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_numbers_in_shaded_cells_can_be_read(browser, runs, tmp_path, scheme):
    """4.5 : 1 at least (WCAG 2.1, 1.4.3), for every shade."""
    counts = [[0] * 9 for _ in range(9)]
    for i in range(9):  # rows of 65: 1, 9, 17, ... 65 of them right
        counts[i][i] += 8 * i + 1
        counts[i][i - 1] += 64 - 8 * i
    figure = Matrix("m", "M", "", Table((), ()), tuple("abcdefghi"), tuple(map(tuple, counts)))
    file = tmp_path / "matrix.html"
    file.write_text(html(Page("t", "", (Section("s", "S", (figure,)),))))
    with opened(browser, file, scheme=scheme) as page:
        shades = page.eval_on_selector_all(".matrix td", "all => all.map((one) => one.className.slice(0, 2))")
        assert set(shades) == {f"h{i}" for i in range(10)}
        assert min(page.evaluate(CONTRAST)) >= 4.5


def brightness(colour):
    return sum(int(part) for part in colour[4:-1].split(",")) / 3


COLOURS = """(canvas) => {
  const all = canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height).data;
  const found = {};
  for (let i = 0; i < all.length; i += 4) if (all[i + 3] === 255) {
    const colour = [all[i], all[i + 1], all[i + 2]].join();
    found[colour] = (found[colour] || 0) + 1;
  }
  return Object.keys(found).filter((colour) => found[colour] > 60);
}"""
TRAIN = {"light": "0,114,178", "dark": "90,180,236"}


def test_curves_follow_a_change_of_scheme_and_print_in_the_light_one(browser, one):
    def drawn_in(page, scheme):
        page.wait_for_timeout(300)
        return TRAIN[scheme] in page.locator("[data-curves=loss] canvas").evaluate(COLOURS)

    with opened(browser, one, scheme="dark") as page:
        assert drawn_in(page, "dark")
        page.evaluate("dispatchEvent(new Event('beforeprint'))")
        assert drawn_in(page, "light")
        page.evaluate("dispatchEvent(new Event('afterprint'))")
        assert drawn_in(page, "dark")
        page.emulate_media(color_scheme="light")
        assert drawn_in(page, "light")


def test_without_scripts_the_numbers_are_readable(browser, several):
    with opened(browser, several, script=False) as page:
        assert page.locator("canvas").count() == 0
        assert page.locator("noscript").first.is_visible()
        section = page.locator("#figure-loss")
        section.locator("summary").click()
        assert section.locator("table").is_visible()
        assert section.locator("tbody tr").count() == 4
        assert page.locator("#summary table").first.is_visible()
        assert page.locator(".matrix").first.is_visible()


def test_every_figure_has_a_name_and_a_table(browser, several):
    with opened(browser, several) as page:
        unnamed = page.evaluate("""() => [...document.querySelectorAll("svg:not([aria-hidden]), img, .canvas, .scroll, nav")]
            .filter((one) => !(one.getAttribute("aria-label") || one.alt)).length""")
        assert unnamed == 0
        figures = page.locator("figure")
        assert figures.count() == page.locator("figure:has(table)").count() > 20
        names = page.eval_on_selector_all("[id]", "all => all.map(one => one.id)")
        assert len(names) == len(set(names))

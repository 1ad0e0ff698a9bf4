"""The pictures of a report as a browser draws them: inside their axes, legible, in both colours."""

from __future__ import annotations

import itertools
import re
from pathlib import Path

import pytest

from nbest.experiments.report.drawing import shortened, spread
from nbest.experiments.report.page import write_report
from nbest.experiments.report.svg import VARIABLES
from tests.experiments.browsers import chromium
from tests.experiments.report.test_report import SELECT, pool

OVERLAPS = """() => [...document.querySelectorAll("svg")].flatMap((svg) => {
  const boxes = [...svg.querySelectorAll("text")]
    .map((text) => [text.textContent, text.getBoundingClientRect()])
    .filter(([, box]) => box.width > 0);
  return boxes.flatMap(([name, a], place) => boxes.slice(place + 1)
    .filter(([, b]) => a.left < b.right - 1 && b.left < a.right - 1
                    && a.top < b.bottom - 3 && b.top < a.bottom - 3)
    .map(([other]) => `${svg.getAttribute("aria-label").slice(0, 30)}: ${name} / ${other}`));
})"""

OUTSIDE = """() => [...document.querySelectorAll("svg")].flatMap((svg) => {
  const panel = svg.querySelector("#patch_2").getBoundingClientRect();
  return [...svg.querySelectorAll("g[id^=point-] use, g[id^=right-]")]
    .map((point) => point.getBoundingClientRect())
    .filter((box) => {
      const x = (box.left + box.right) / 2, y = (box.top + box.bottom) / 2;
      return x < panel.left - 1 || x > panel.right + 1 || y < panel.top - 1 || y > panel.bottom + 1;
    }).map((box) => `${svg.getAttribute("aria-label").slice(0, 30)} ${box.x} ${box.y}`);
})"""


@pytest.fixture(scope="module")
def page_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The report of two runs, one of which has long names of selectors that are alike."""
    folder = tmp_path_factory.mktemp("plots")
    runs = [pool(folder, 60, 16, "one"), pool(folder, 40, 8, "two")]
    select = f'{SELECT},weighted_vote(by=score(name="rm"), transform="rank"),first,longest'
    return write_report(runs, folder / "report.html", select)


@pytest.mark.parametrize("width", [400, 1200])
def test_no_labels_overlap_and_every_point_lies_inside_its_axes(
    page_file: Path, width: int
) -> None:
    with chromium() as browser:
        page = browser.new_page(viewport={"width": width, "height": 900})
        page.goto(page_file.as_uri())
        page.evaluate("document.querySelectorAll('details').forEach((one) => one.open = true)")
        assert page.locator("svg").count() == 2 * 6 + 1
        assert page.evaluate(OVERLAPS) == []
        assert page.evaluate(OUTSIDE) == []
        assert page.evaluate("document.documentElement.scrollWidth") <= width


def test_text_of_pictures_can_be_read_on_a_telephone(page_file: Path) -> None:
    with chromium() as browser:
        page = browser.new_page(viewport={"width": 400, "height": 900})
        page.goto(page_file.as_uri())
        heights = page.evaluate(
            "[...document.querySelectorAll('svg text')].map((t) => t.getBoundingClientRect())"
            ".filter((box) => box.width > 0).map((box) => Math.min(box.height, box.width + 99))"
        )
        assert min(heights) >= 9


def test_light_and_dark_have_colours_of_their_own(page_file: Path) -> None:
    text = page_file.read_text()
    assert not any(colour in text for colour in VARIABLES)
    for line in re.findall(r'style="[^"]*stroke: #[0-9a-f]{6}', text):
        assert not line.endswith("#000000"), line  # black is not seen in the dark
    with chromium() as browser:
        found = {}
        for scheme in ("light", "dark"):
            page = browser.new_page(color_scheme=scheme)  # type: ignore[arg-type]
            page.goto(page_file.as_uri())
            found[scheme] = page.evaluate(
                "[getComputedStyle(document.body).backgroundColor,"
                " getComputedStyle(document.querySelector('svg text')).fill]"
            )
        assert found["light"][0] != found["dark"][0]
        assert found["light"][1] != found["dark"][1]


def test_a_report_is_three_printed_pages(tmp_path: Path) -> None:
    run = pool(tmp_path, 60, 16)
    file = write_report([run], tmp_path / "report.html", SELECT)
    with chromium() as browser:
        page = browser.new_page()
        page.goto(file.as_uri())
        printed = page.pdf(format="A4", print_background=True)
        assert 1 <= len(re.findall(rb"/Type\s*/Page\b", printed)) <= 3


def test_points_say_what_they_are(page_file: Path) -> None:
    titles = re.findall(r"<title>(.*?)</title>", page_file.read_text())
    assert any(re.fullmatch(r"vote, k=4: [\d.]+% \([\d.]+% to [\d.]+%\)", t) for t in titles)
    assert any(re.fullmatch(r"\d+: \d+ questions", t) for t in titles)
    assert any(re.match(r"\d+ answers, confidence ", t) for t in titles)


@pytest.mark.parametrize("places", [[0.1, 0.1, 0.1], [0.2, 0.25, 0.9], [0.5], []])
def test_names_are_moved_apart_and_keep_their_order(places: list[float]) -> None:
    moved = spread(places, 0.06)
    assert moved == sorted(moved)
    assert all(b - a >= 0.06 - 1e-6 for a, b in itertools.pairwise(moved))
    assert sum(moved) == pytest.approx(sum(places))


def test_long_names_keep_their_ends() -> None:
    assert shortened("vote") == "vote"
    assert shortened("weighted_vote(by=rm)", 12) == "weighte\N{HORIZONTAL ELLIPSIS}=rm)"

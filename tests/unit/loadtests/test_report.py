"""The JSON, the chart and the page of one made-up run, and of one without any call."""

import base64
import json
import math
import re
from html.parser import HTMLParser
from pathlib import Path

import pytest

pytest.importorskip("matplotlib", reason="the extra loadtests is not installed")

from PIL import Image

from loadtests.load.chart import draw_chart
from loadtests.load.exposition import HistogramCounts
from loadtests.load.page import write_page
from loadtests.load.reading import Reading
from loadtests.load.report import Report, summaries_of, windows_of, write_json
from loadtests.load.samples import Sample
from loadtests.load.scenario import load_scenario
from loadtests.load.verdict import Check

SMOKE = load_scenario("smoke")
HISTOGRAM = HistogramCounts([0.1, 1.0, math.inf], [3.0, 1.0, 0.0], 0.5)


class Tags(HTMLParser):
    """Counts what is open."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.seen: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:  # noqa: ARG002
        self.seen.append(tag)
        if tag not in ("meta", "img"):
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag


def report_of(samples: list[Sample]) -> Report:
    return Report(
        scenario_name="<smoke>",
        scenario=SMOKE,
        facts={"callers on": "here & now"},
        summaries=summaries_of(SMOKE, samples),
        windows=windows_of(SMOKE, samples),
        readings=[Reading(float(second), "classification", 2.0, 3.0, 0.5 * second, 2.0**27) for second in range(5)],
        histograms={"queue wait": {"classification": HISTOGRAM}, "batch size": {}, "inference": {}},
        rejected={"classification": {"queue_full": 2.0, "draining": 0.0}},
        slo=[Check("calls", bool(samples), "at least 1", str(len(samples)))],
        agreement=[Check("counts", True, "1", "1")],
    )


def some_samples() -> list[Sample]:
    return [
        Sample("classification.unary", second / 10, 0.02 + second / 1000, 0.02, "OK" if second % 9 else "INTERNAL", 1)
        for second in range(50)
    ]


@pytest.mark.parametrize("samples", [some_samples(), []])
def test_a_report_is_json_that_any_reader_takes(samples: list[Sample], tmp_path: Path) -> None:
    path = tmp_path / "report.json"
    write_json(report_of(samples), path)
    content = json.loads(path.read_text(), parse_constant=lambda name: pytest.fail(f"{name} is not JSON"))
    assert content["is_slo_met"] is bool(samples)
    assert content["histograms"]["queue wait"]["classification"]["bounds"] == [0.1, 1.0, "+Inf"]
    assert (content["summaries"]["all"]["p99_s"] is None) is not bool(samples)


@pytest.mark.parametrize("samples", [some_samples(), []])
def test_the_page_needs_nothing_beside_it_and_holds_every_part(samples: list[Sample], tmp_path: Path) -> None:
    report, chart, page = report_of(samples), tmp_path / "report.png", tmp_path / "report.html"
    draw_chart(report, chart)
    write_page(report, chart, page)
    text = page.read_text()
    tags = Tags()
    tags.feed(text)
    assert tags.open == []
    assert tags.seen.count("table") == 6
    assert "<smoke>" not in text
    assert "here &amp; now" in text
    assert "queue_full" in text
    assert ">0.50</td><td class=number>128</td><td class=number>128</td><td class=number>2</td>" in text
    assert "http" not in text
    (picture,) = re.findall(r"src='data:image/png;base64,([^']+)'", text)
    assert base64.b64decode(picture) == chart.read_bytes()


def test_the_chart_is_a_picture_with_something_on_each_panel(tmp_path: Path) -> None:
    path = tmp_path / "report.png"
    draw_chart(report_of(some_samples()), path)
    with Image.open(path) as opened:
        picture = opened.convert("L")
    assert picture.width > 1000
    for row in range(2):
        for column in range(3):
            box = (column * picture.width // 3, row * picture.height // 2)
            panel = picture.crop((*box, box[0] + picture.width // 3, box[1] + picture.height // 2))
            assert sum(panel.histogram()[:200]) > 2000


def test_windows_are_by_when_calls_ended_and_the_warm_up_is_not_summed_up() -> None:
    samples = [Sample("classification.unary", due_s, 0.5, 0.5, "OK", 1) for due_s in (0.2, 0.7, 1.0, 1.6)]
    assert [(window.at_s, window.summary.call_count) for window in windows_of(SMOKE, samples)] == [
        (0.0, 1),
        (1.0, 2),
        (2.0, 1),
    ]
    assert summaries_of(SMOKE, samples)["classification.unary"].call_count == 2

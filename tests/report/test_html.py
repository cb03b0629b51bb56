"""The report page: complete, self-contained, and never a way in for what programs wrote."""

from __future__ import annotations

import base64
import builtins
import re
from html.parser import HTMLParser
from urllib.parse import unquote

import pytest

from elm.report.html import ReportError, write_report


class Page(HTMLParser):
    """Elements with their attributes, and the text a reader sees."""

    def __init__(self, text: str) -> None:
        super().__init__(convert_charrefs=True)
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.text = ""
        self._hidden = False
        self.feed(text)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))
        self._hidden = tag == "style"

    def handle_endtag(self, tag: str) -> None:
        self._hidden = False

    def handle_data(self, data: str) -> None:
        if not self._hidden:
            self.text += data

    def pictures(self) -> list[str]:
        sources = [attrs["src"] or "" for tag, attrs in self.elements if tag == "img"]
        assert all(source.startswith("data:image/svg+xml") for source in sources)
        return [unquote(source.partition(",")[2]) for source in sources]


def page_of(run) -> Page:
    path = write_report(run.folder)
    assert path == run.folder / "report.html"
    return Page(path.read_text(encoding="utf-8"))


@pytest.fixture(scope="module")
def finished_page(finished_run) -> Page:
    return page_of(finished_run)


def test_the_page_shows_the_run(finished_run, finished_page):
    run, page = finished_run, finished_page
    text = " ".join(page.text.split())
    best = run.archive.best.evaluation.fitness
    for word in ("Who made what", "operator diff", "operator prompt", "model tiny"):
        assert word in text
    for word in (f"{best:g} m", f"candidate {run.best}", "Coverage", "QD score", "Lineage",
                 "runtime error", "duplicate", "the same program as candidate 0", "seed first",
                 "Configuration", "slot 1 restarted", "tiny", "archive_sha256",
                 run.archive.sha256()):  # fmt: skip
        assert word in text, word
    figures = [attrs["aria-label"] for tag, attrs in page.elements if tag == "svg"]
    assert len(figures) == 4 and all(figures)


def test_untrusted_text_stays_text(finished_page):
    page = finished_page
    assert not [tag for tag, _ in page.elements if tag in ("script", "iframe", "object", "link")]
    assert not [k for _, attrs in page.elements for k in attrs if k.startswith("on")]
    # Name, configuration, program, failure's detail and printout, event.
    assert page.text.count("<script>alert('evil')</script> & \"quotes\"") >= 6
    assert "<b>width</b>" in page.text  # the name of an axis, in figures too


def test_pictures_cannot_reach_the_page(finished_run, finished_page):
    pictures = finished_page.pictures()
    assert pictures and all("drawn" in picture for picture in pictures)
    assert any(f"drawn {{'number': {finished_run.best}}}" in picture for picture in pictures)


def test_the_page_asks_for_nothing_from_elsewhere(finished_run, finished_page):
    page = finished_page
    text = (finished_run.folder / "report.html").read_text(encoding="utf-8")
    policy = [a["content"] for t, a in page.elements if a.get("http-equiv")]
    assert policy == ["default-src 'none'; style-src 'unsafe-inline'; img-src data:"]
    for _, attributes in page.elements:
        for key, value in attributes.items():
            if key in ("src", "href", "xlink:href"):
                assert value and value.startswith(("data:", "#")), (key, value)
    assert "@import" not in text and not re.search(r"url\((?!['\"]?#)", text)


def test_references_between_figures_do_not_collide(finished_page):
    page = finished_page
    ids = [attrs["id"] for _, attrs in page.elements if "id" in attrs]
    targets = {a["xlink:href"][1:] for _, a in page.elements if a.get("xlink:href", "x")[0] == "#"}
    assert targets <= set(ids)
    assert not [i for i in ids if re.fullmatch(r"[A-Za-z]+_\d+", i)]


def test_the_lineage_leads_from_a_seed_to_the_best(finished_run, finished_page):
    run = finished_run
    chain, parent = [], run.best
    while True:
        chain.append(parent)
        parents = run.candidates[parent].parents
        if not parents:
            break
        parent = parents[0]
    shown = finished_page.text.split("Lineage of the best")[1].split("Failures")[0]
    assert [int(i) for i in re.findall(r"candidate (\d+)", shown)] == chain[::-1]
    assert len(chain) > 2
    assert f"-x = {chain[1]}" in shown and f"+x = {chain[0]}" in shown


def test_a_run_without_summary_is_reported_from_its_journal(make_run):
    run = make_run(summary=False, uncommitted=1)
    text = page_of(run).text
    assert "there is no summary.json" in text
    assert f"{run.archive.filled:,} of {run.archive.space.cells:,} cells" in text


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"picture": "broken"}, "no picture: RuntimeError: no <ink> left"),
        ({"environment": "nowhere.Nothing"}, "no pictures: environment._target_"),
    ],
)
def test_pictures_that_cannot_be_drawn_are_explained(make_run, options, said):
    run = make_run(**options)
    page = page_of(run)
    assert said in page.text and not page.pictures()
    assert f"candidate {run.best}" in page.text


def test_a_program_stands_in_for_a_picture(make_run):
    run = make_run(picture="none")
    assert page_of(run).text.count(f"x = {run.best}\n") >= 2  # in the picture's place, and below


@pytest.mark.parametrize("options", [{"blocks": 1}, {"blocks": 0}, {"with_model": False}])
def test_short_runs_have_a_report_too(make_run, options):
    page = page_of(make_run(**options))
    assert ("The archive is empty" in page.text) == (options.get("blocks") == 0)


@pytest.mark.parametrize("archive", [{"name": "cvt", "cells": 12}, {"name": "grid", "depth": 3}])
def test_other_archives_have_their_map(make_run, archive):
    page = page_of(make_run(archive=archive))
    assert "Best fitness of each cell" in str([a for t, a in page.elements if t == "svg"])


def test_the_same_run_gives_the_same_page(finished_run, finished_page):
    first = (finished_run.folder / "report.html").read_bytes()
    assert write_report(finished_run.folder).read_bytes() == first


def test_missing_extras_are_one_clear_line_and_the_old_report_stays(make_run, monkeypatch):
    run = make_run()
    (run.folder / "report.html").write_text("old")
    real = builtins.__import__

    def without(name, *args, **kwargs):
        if name == "jinja2":
            raise ImportError(name)
        return real(name, *args, **kwargs)

    monkeypatch.setattr(builtins, "__import__", without)
    with pytest.raises(ReportError) as error:
        write_report(run.folder)
    assert str(error.value) == "report needs the extra plots: pip install 'elm[plots]'"
    assert (run.folder / "report.html").read_text() == "old"


def test_what_is_no_run_or_damaged_is_refused(make_run, tmp_path):
    with pytest.raises(ReportError, match="no run folder"):
        write_report(tmp_path / "nothing")
    run = make_run()
    (run.folder / "summary.json").write_text("{")
    with pytest.raises(ReportError, match=r"summary\.json: cannot be read"):
        write_report(run.folder)
    run = make_run("other")
    (run.folder / "journal.db").write_bytes(base64.b64encode(b"no database" * 999))
    with pytest.raises(ReportError, match=r"journal\.db"):
        write_report(run.folder)
    assert not (run.folder / "report.html").exists()

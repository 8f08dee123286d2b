from __future__ import annotations

import http.server
import re
import shutil
import subprocess
import threading
import time
from contextlib import contextmanager
from dataclasses import dataclass, field
from html.parser import HTMLParser
from typing import TYPE_CHECKING

import pytest

from ablation.report import build_report
from ablation.report.html import render_html

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from ablation_report.conftest import Planter

_CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)

needs_chromium = pytest.mark.skipif(_CHROMIUM is None, reason="no Chromium to open the report in")

_PLOTS = ("forest", "success", "outcomes", "cost", "budget", "milestones", "doses")


@dataclass
class _Tags(HTMLParser):
    """Every element of a page with its attributes."""

    found: list[tuple[str, dict[str, str | None]]] = field(default_factory=list)

    def __post_init__(self) -> None:
        super().__init__()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found.append((tag, dict(attrs)))


def _elements(page: str) -> list[tuple[str, dict[str, str | None]]]:
    tags = _Tags()
    tags.feed(page)
    return tags.found


def _hostile(address: str) -> str:
    return (
        f'</pre></td><script src="{address}/script"></script><script>document.title="owned"</script>'
        f'<img src="{address}/image" onerror="document.title=1"><a href="javascript:alert(1)">go</a>'
        f'<style>@import "{address}/style";</style>\x1b[31m\N{RIGHT-TO-LEFT OVERRIDE}{{{{ 7 * 7 }}}}'
    )


def test_the_page_has_no_script_no_link_and_every_plot(planted: Planter) -> None:
    study = planted(voids=0.05, price=2.0, hostile=_hostile("http://127.0.0.1:1"))
    page = render_html(build_report(study.records, study.design))
    elements = _elements(page)
    assert not {"script", "a", "img", "iframe", "object", "form", "base"} & {tag for tag, _ in elements}
    assert not [name for _, attrs in elements for name in attrs if name.startswith("on")]
    references = [
        attrs[name] for _, attrs in elements for name in ("href", "src", "xlink:href") if name in attrs
    ]
    assert all(reference and reference.startswith(("#", "data:")) for reference in references)
    ids = [attrs["id"] for _, attrs in elements if "id" in attrs]
    assert len(ids) == len(set(ids))
    assert {f"#{i}" for i in ids} >= {r for r in references if r and r.startswith("#")}
    assert [attrs.get("id") for tag, attrs in elements if tag == "figure"] == list(_PLOTS)
    assert "{{ 7 * 7 }}" in page
    assert "\x1b" not in page
    assert "\N{RIGHT-TO-LEFT OVERRIDE}" not in page
    assert "default-src &#39;none&#39;" in page or "default-src 'none'" in page


def test_simulated_stands_beside_the_title_and_in_every_plot(planted: Planter) -> None:
    study = planted()
    page = render_html(build_report(study.records, study.design))
    figures = re.findall(r"<figure.*?</figure>", page, flags=re.DOTALL)
    assert len(figures) == len(_PLOTS)
    for figure in figures:
        caption, _, svg = figure.partition("</figcaption>")
        assert "SIMULATED" in caption
        assert "SIMULATED" in svg
    assert "SIMULATED" in page.partition("<title>")[2].partition("</title>")[0]
    real = planted(simulated=False)
    assert "SIMULATED" not in render_html(build_report(real.records, real.design))


def test_plots_take_their_colours_from_the_page(planted: Planter) -> None:
    study = planted()
    page = render_html(build_report(study.records, study.design))
    assert "#0a0b0" not in page
    used = set(re.findall(r"var\((--[a-z]+)\)", page))
    assert used <= set(re.findall(r"(--[a-z_]+):", page))


def test_an_empty_study_and_odd_names_still_make_a_page(planted: Planter) -> None:
    study = planted(worlds=2)
    assert "No trial of an arm has been measured yet." in render_html(build_report([], study.design))
    odd = [
        r.model_copy(
            update={
                "milestones": tuple(
                    m.model_copy(update={"name": f"$x_{{ 大 & <b>{m.name}"}) for m in r.milestones
                )
            }
        )
        for r in study.records
    ]
    page = render_html(build_report(odd, study.design))
    assert "<b>files" not in page
    assert "大" in page


def test_a_thousand_trials_take_a_few_seconds(planted: Planter) -> None:
    study = planted(worlds=143)
    assert len(study.records) > 1000
    began = time.perf_counter()
    page = render_html(build_report(study.records, study.design))
    assert time.perf_counter() - began < 8
    assert page.count("<details>") == len(study.records)


@contextmanager
def _listening() -> Iterator[tuple[str, list[str]]]:
    """Serve on a free port and note what is asked for."""
    asked: list[str] = []

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            asked.append(self.path)
            self.send_response(200)
            self.send_header("content-length", "0")
            self.end_headers()

        def log_message(self, *_: object) -> None:
            """Keep quiet."""

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}", asked
        finally:
            server.shutdown()
            thread.join()


def _open(page: Path, profile: Path) -> tuple[str, str]:
    """Open a page in a browser; return the document it made of it and what it had to say."""
    assert _CHROMIUM
    opened = subprocess.run(
        [
            _CHROMIUM,
            *("--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run"),
            *("--disable-background-networking", "--disable-component-update", "--disable-sync"),
            *("--enable-logging=stderr", "--virtual-time-budget=2000"),
            f"--user-data-dir={profile}",
            "--dump-dom",
            page.as_uri(),
        ],
        capture_output=True,
        text=True,
        timeout=90,
        check=True,
    )
    return opened.stdout, "\n".join(line for line in opened.stderr.splitlines() if "CONSOLE" in line)


@needs_chromium
def test_a_hostile_transcript_is_inert_in_a_browser(planted: Planter, tmp_path: Path) -> None:
    with _listening() as (address, asked):
        study = planted(worlds=4, hostile=_hostile(address), voids=0.2)
        page = tmp_path / "report.html"
        page.write_text(render_html(build_report(study.records, study.design)))
        document, console = _open(page, tmp_path / "profile")
        assert asked == []
    assert console == ""
    assert "<title>faculties (SIMULATED)" in document
    assert not {"script", "a", "img"} & {tag for tag, _ in _elements(document)}


@needs_chromium
def test_the_trap_for_hostile_pages_springs(tmp_path: Path) -> None:
    with _listening() as (address, asked):
        page = tmp_path / "unsafe.html"
        page.write_text(f"<!doctype html><title>safe</title><pre>{_hostile(address)}</pre>")
        document, _ = _open(page, tmp_path / "profile")
        assert asked
    assert "<title>safe" not in document

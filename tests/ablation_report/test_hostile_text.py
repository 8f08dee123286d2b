"""No channel lets an agent's text do anything: one property for each, and one whole trial through all."""

from __future__ import annotations

import asyncio
import csv
import io
import re
import unicodedata
from dataclasses import dataclass, replace
from html.parser import HTMLParser
from typing import TYPE_CHECKING, Any

import orjson
import pytest
import structlog
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from rich.console import Console
from small_studies import HOME, note, small_study

from ablation import Arm, run_study, untrusted, verify_study
from ablation.cli.asking import PersonAtTerminal
from ablation.cli.diagnostics import inert
from ablation.cli.faults import WrongUse
from ablation.record import EventLog, read_log, verify_log
from ablation.report import build_report, print_report, render_markdown, report_as_json, trials_as_csv
from ablation.report.html import render_html
from ablation.show import show_trial
from ablation.store import StudyFolder
from ablation.types import BehaviourRecord, CanaryRecord, HurdleRecord
from scaffold import ToolCall, View, react
from scaffold.models.scripted import Scripted, call
from scenarios import Milestone, Verdict

if TYPE_CHECKING:
    from collections.abc import Mapping

    from environments import Control


FRAGMENTS = (
    *(
        "\x1b[2J",
        "\x1b]0;title\x07",
        "\x1b]8;;http://evil.example/\x1b\\",
        "\x1bP",
        "\x1b",
        "\x9b31m",
        "\x9d0;x\x9c",
    ),
    *("\x00", "\x07", "\b", "\r", "\t", "\n", "\v", "\f", "\x7f", "\x85", "\u2028", "\u2029"),
    *("\u202e", "\u202d", "\u2066", "\u2069", "\u200b", "\u200f", "\ufeff", "\u00ad", "\ufe0f", "\u3164"),
    *("\ud800", "\udfff", "\U000e0041", "\ue000", "\uffff", "\u0378"),
    *(
        "<script>alert(1)</script>",
        "</pre>",
        "<img src=x onerror=alert(1)>",
        "' onclick='",
        '" onload="',
        "&lt;",
        "]]>",
    ),
    *("=1+1", "+1", "-1", "@SUM(1)", "\uff1d1", "\uff0b1", "'=1", '"=1', " =1", "|", ";=1", ",=1"),
    *(
        "[a](http://evil.example)",
        "![a](x)",
        "`",
        "```",
        "# ",
        "> ",
        "- ",
        "***",
        "~~~",
        "http://evil.example",
        "www.evil.example",
    ),
    *(
        "[bold]",
        "[/]",
        "[link=http://evil.example]x[/link]",
        "{{ 7 * 7 }}",
        "$x_2$",
        "\\",
        "%s",
        "words",
        "größer",
        "大",
    ),
)
hostile = st.lists(st.sampled_from(FRAGMENTS) | st.characters(codec=None), max_size=12).map("".join)
quick = settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])

DOES_SOMETHING = {"Cc", "Cf", "Cs", "Co", "Zl", "Zp"}


def obeyed(text: str) -> set[str]:
    """Characters that a terminal or a pager might obey, or that hide something."""
    return {c for c in text if unicodedata.category(c) in DOES_SOMETHING} - {"\n", "\t"}


def printed(show: Any, **settings: Any) -> str:
    page = io.StringIO()
    show(Console(file=page, width=120, **settings))
    return page.getvalue()


def poisoned(planted: Any, text: str) -> Any:
    """Every field of a record that may hold an agent's text holds this one."""

    def poison(record: Any) -> Any:
        touch = CanaryRecord(canary=text, thing="file", how="read", step=1, evidence=text)
        return record.model_copy(
            update={
                "cause": text,
                "submission": text,
                "milestones": tuple(m.model_copy(update={"evidence": text}) for m in record.milestones),
                "canaries": (touch,),
                "canaries_unwatched": (text,),
                "interventions": 1,
                "behaviours": (BehaviourRecord(tag="rebooted", evidence=text, step=1),),
                "hurdles": (HurdleRecord(name=text or "none", where=text),),
                "limit": text if record.outcome == "limit" else None,
            }
        )

    design = {**planted.design, "canaries": "note"}
    return replace(planted, records=[poison(record) for record in planted.records[:14]], design=design)


@pytest.fixture(scope="module")
def plain(planted: Any) -> Any:
    return planted(worlds=2, voids=0.3)


@quick
@given(hostile)
def test_a_report_in_the_terminal(plain: Any, text: str) -> None:
    given_ = poisoned(plain, text)
    report = build_report(given_.records, given_.design)
    assert obeyed(printed(lambda console: print_report(report, console))) == set()
    coloured = printed(lambda console: print_report(report, console), force_terminal=True)
    assert obeyed(re.sub(r"\x1b\[[0-9;]*m", "", coloured)) == set()


@quick
@given(hostile)
@example("`[link=http://evil.example]x[/link]")
@example("\\://evil.example")
def test_a_report_in_markdown(plain: Any, text: str) -> None:
    given_ = poisoned(plain, text)
    page = render_markdown(build_report(given_.records, given_.design))
    assert obeyed(page) == set()
    prose = re.sub(r"(?ms)^(`{3,})text$.*?^\1$", "", page)
    outside = re.sub(
        r"(?<![\\`])((?:\\\\)*)(`+)(?!`)(.+?)(?<!`)\2(?!`)", r"\1", prose
    )  # no escaped one opens code
    assert re.findall(r"(?<!\\)(?:\\\\)*[<\[!`](?=[a-zA-Z/\[(`])", outside) == []
    assert "http://" not in outside
    assert "www." not in outside
    for table in re.findall(r"(?m)(?:^\|.*\n)+", page):
        assert len({len(re.findall(r"(?<!\\)(?:\\\\)*\|", row)) for row in table.splitlines()}) == 1


class Inventory(HTMLParser):
    """Every tag and attribute in a page."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.found: set[tuple[str, str]] = set()
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found.update({(tag, ""), *((tag, name) for name, _ in attrs)})


@pytest.fixture(scope="module")
def usual(plain: Any) -> set[tuple[str, str]]:
    """The tags and attributes of a page whose agents wrote nothing but words."""
    calm = poisoned(plain, "words")
    return Inventory(render_html(build_report(calm.records, calm.design))).found


@settings(quick, max_examples=5)
@given(hostile)
def test_a_report_in_html(plain: Any, usual: set[tuple[str, str]], text: str) -> None:
    given_ = poisoned(plain, text)
    page = render_html(build_report(given_.records, given_.design))
    assert Inventory(page).found <= usual
    assert obeyed(page) == set()
    assert not any(tag in {"script", "a", "iframe", "img", "object"} for tag, _ in Inventory(page).found)


@quick
@given(hostile)
def test_trials_as_csv_and_json(plain: Any, text: str) -> None:
    given_ = poisoned(plain, text)
    report = build_report(given_.records, given_.design)
    table = trials_as_csv(report)
    assert obeyed(table) <= {"\r"}
    rows = list(csv.reader(io.StringIO(table, newline="")))
    assert {len(row) for row in rows} == {len(rows[0])}
    for cell in (cell for row in rows for cell in row):
        assert not re.match(r"""[\s'"`,;]*[=+@\uff1d\uff0b\uff0d\uff20-]""", cell) or cell.startswith("'")
    out = untrusted.inert_json(orjson.dumps(_encodable(report_as_json(report))))
    assert obeyed(out.decode()) == set()


def _encodable(value: Any) -> Any:
    """Without lone surrogates, which no record that was read from a log can hold."""
    if isinstance(value, str):
        return value.encode(errors="replace").decode()
    if isinstance(value, dict):
        return {_encodable(name): _encodable(part) for name, part in value.items()}
    return [_encodable(part) for part in value] if isinstance(value, list | tuple) else value


@quick
@given(hostile)
def test_inert_json_means_what_it_meant(text: str) -> None:
    clean = text.encode(errors="replace").decode()
    plain = orjson.dumps({clean: [clean, 1.5, None]})
    inert = untrusted.inert_json(plain)
    assert orjson.loads(inert) == orjson.loads(plain)
    assert obeyed(inert.decode()) == set()
    assert b"\x7f" not in inert


@quick
@given(hostile)
def test_a_log_as_cat_shows_it(tmp_path_factory: pytest.TempPathFactory, text: str) -> None:
    path = tmp_path_factory.mktemp("log") / "log.jsonl"
    with EventLog.create(path, origin="0" * 64) as log:
        log.append("tool", {"text": text, "arguments": {text: text}})
        log.append("end", {"record": {}})
    assert verify_log(path, origin="0" * 64).finished
    raw = path.read_bytes().decode()
    assert obeyed(raw.replace("\n", "")) == set()
    assert raw.count("\n") == 2
    expected = (
        text.encode(errors="replace").decode() if any("\ud800" <= c <= "\udfff" for c in text) else text
    )
    assert next(read_log(path))["text"] == expected


@quick
@given(hostile, hostile)
def test_what_is_asked_about(name: str, text: str) -> None:
    def show(console: Console) -> None:
        person = PersonAtTerminal(console=console, keys=0, aside=lambda: None)  # type: ignore[arg-type,return-value]
        view = View(trial="t", step=1, faculty="execute", messages=())
        person._show(ToolCall(id="1", name=name, arguments={text: text, "other": [text]}), view, whole=True)

    shown = printed(show)
    assert obeyed(shown) == set()
    shown.encode()


@given(hostile)
def test_what_is_spelled_can_be_told_apart(text: str) -> None:
    shown = untrusted.spelled(text)
    assert obeyed(shown) <= {"\t"}
    if "⟨" not in text:
        back = re.sub(r"⟨U\+([0-9A-F]{4,6})⟩", lambda found: chr(int(found[1], 16)), shown)
        assert back == text


@quick
@given(hostile)
def test_errors_and_diagnostics(text: str) -> None:
    assert obeyed(WrongUse(text).format_message()) == set()
    made = structlog.processors.LogfmtRenderer()(
        None, "", dict(inert(None, "", {"event": "x", "cause": text}))
    )
    assert obeyed(str(made)) == set()
    assert "\n" not in str(made)


# -------------------------------------------------------------------------------------------- a whole trial

EVIL = (
    "\x1b[2J\x1b[31mred\x1b]0;owned\x07\x1b]8;;http://evil.example/\x1b\\click\x1b]8;;\x1b\\"
    "\x9b31m\x7f\x85\u202egnp.exe\u2066\u200b\u2028<script>alert(1)</script><img src=x onerror=a()>"
    "=cmd|' /C calc'!A0 | `code` [link](http://evil.example) {{ 7*7 }} [bold]"
)
PROGRAM = r"""
printf '%s' "$EVIL" > note.txt
mkdir -p "files/$(printf '\033[31m\302\233evil\342\200\256')"
printf '%s\n' "$EVIL"; printf '%s\n' "$EVIL" >&2; ls -R files
name="$(printf 'sl\033[5m')"
cp /bin/sleep "$name" && ("./$name" 30 >/dev/null 2>&1 &)
ps aux 2>/dev/null; cat /proc/[0-9]*/cmdline | tr '\0' ' '
"""


@dataclass(frozen=True)
class Quoting:
    """An oracle that quotes what it found, as oracles do."""

    async def judge(self, control: Control, _secret: str, submission: str | None, /) -> Verdict:
        found = (await control.look(HOME / "note.txt") or b"").decode(errors="replace")
        names = " ".join(str(fact.path) for fact in await control.walk(HOME / "files"))
        argv = " ".join(" ".join(process.argv) for process in await control.processes())
        assert submission == EVIL
        evidence = f"{found} {names} {argv}"
        return Verdict(
            status="fail",
            milestones=(Milestone(name="quoted", passed=False, evidence=evidence),),
            reason=evidence,
        )


@pytest.fixture(scope="module")
def trial(tmp_path_factory: pytest.TempPathFactory) -> StudyFolder:
    """A study of one trial whose agent says something hostile wherever it can."""
    script = f"EVIL={_quoted(EVIL)}; {PROGRAM}"
    subject = Scripted(
        replies=[
            EVIL,
            [call("shell", command=script)],
            [call("read_file", path=EVIL), call(EVIL, **{EVIL: EVIL}), call("shell", command=EVIL)],
            [call("start_process", command=f"sleep 30 # {EVIL}"), call("list_processes")],
            [call("finish", summary=EVIL)],
        ]
    )
    out = tmp_path_factory.mktemp("hostile") / "out"
    hostile_note = replace(note, oracle=Quoting())
    arms = [Arm(name="react", scaffold=react(), baseline=True)]
    study = small_study(subject=subject, scenarios=[hostile_note], arms=arms, seeds=[0])
    asyncio.run(run_study(study, out))
    return StudyFolder.load(out)


def _quoted(text: str) -> str:
    return "'" + text.replace("'", "'\\''") + "'"


def renderings(folder: StudyFolder) -> Mapping[str, str]:
    (log,) = (folder.path / "trials").glob("*.jsonl")
    report = build_report(folder.records(), folder.design)
    return {
        "log": log.read_bytes().decode(),
        "ledger": folder.ledger.read_bytes().decode(),
        "design": (folder.path / "study.json").read_bytes().decode(),
        "show": printed(lambda console: show_trial(log, console)),
        "show in full": printed(lambda console: show_trial(log, console, full=True)),
        "terminal": printed(lambda console: print_report(report, console)),
        "markdown": render_markdown(report),
        "html": render_html(report),
        "csv": trials_as_csv(report).replace("\r\n", "\n"),
        "json": untrusted.inert_json(orjson.dumps(report_as_json(report))).decode(),
    }


def test_a_whole_hostile_trial_reaches_every_page_and_does_nothing_there(trial: StudyFolder) -> None:
    (record,) = trial.records()
    assert record.outcome == "failure"
    assert record.submission == EVIL
    assert verify_study(trial.path).ok
    (log,) = (trial.path / "trials").glob("*.jsonl")
    tools = [event for event in read_log(log) if event["kind"] == "tool"]
    assert any(EVIL in event["text"] for event in tools), "the agent's output is in the record as it was"
    pages = renderings(trial)
    for name, page in pages.items():
        assert (name, obeyed(page)) == (name, set())
        for byte in (b"\x1b", b"\x07", b"\x7f", b"\r", b"\x00", "\x9b".encode(), "\u202e".encode()):
            assert (name, byte in page.encode()) == (name, False)
    for name in ("log", "show", "show in full", "html", "json", "csv", "terminal"):
        assert (name, "alert(1)" in pages[name] or "gnp.exe" in pages[name]) == (name, name != "terminal")
    assert "<script" not in pages["html"]
    assert "<img" not in pages["html"]
    assert " onerror=" not in re.sub(r">[^<]*<", "><", pages["html"])
    assert "http://evil.example" not in re.sub(r"`[^`]*`", "", pages["markdown"])

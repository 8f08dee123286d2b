from __future__ import annotations

import io
from typing import TYPE_CHECKING, Any

from rich.console import Console

from ablation.record import END, EventLog, genesis
from ablation.show import show_trial
from scaffold.events import Asked, Compacted, FacultyEntered, LimitReached, Replied, ToolRan, as_fields

if TYPE_CHECKING:
    from pathlib import Path

    from ablation_report.conftest import Planter

    from ablation.types import TrialRecord
    from scaffold.events import Event

_HOSTILE = "\x1b[2J[bold]bad[/bold]\N{RIGHT-TO-LEFT OVERRIDE}"


def _log(path: Path, record: TrialRecord, *, finished: bool = True, steps: int = 2) -> Path:
    with EventLog.create(path, origin=genesis("0", record.key, 1)) as log:
        log.append(
            "trial",
            {
                "key": record.key,
                "subject": record.subject,
                "simulated": True,
                "scaffold": "full",
                "attempt": 1,
            },
        )
        log.append(
            "machine", {"environment": "sandbox", "certificate": {"granted": True, "probes": [{}, {}]}}
        )
        held = {"name": "routes", "seen_from": "outside", "declared": "none", "found": "none"}
        lost = {**held, "found": f"10.0.0.0/8{_HOSTILE}"}
        log.append("examined", {"phase": "during", "probes": [lost, held]})
        log.append(
            "world",
            {"hurdles": [{"name": "port_taken", "dose": 2, "where": "8081"}], "instruction": "Do it."},
        )
        _happen(log, FacultyEntered(faculty="execute", step=0))
        for step in range(1, steps + 1):
            _step(log, step)
        log.append("episode", {"stop": "finished", "submission": f"All done. {_HOSTILE}"})
        milestones = [m.model_dump() for m in record.milestones]
        log.append("verdict", {"status": "pass", "milestones": milestones})
        if finished:
            log.append(END, {"record": record.model_dump(mode="json")})
    return path


def _happen(log: EventLog, event: Event) -> None:
    log.append(event.kind, as_fields(event))


def _step(log: EventLog, step: int) -> None:
    _happen(
        log,
        Asked(step=step, faculty="execute", added=({"role": "user", "content": "# Execute\nCarry it out."},)),
    )
    _happen(
        log,
        Replied(
            step=step,
            faculty="execute",
            text=f"I list the files. {_HOSTILE}",
            reasoning="Where am I?",
            calls=(),
            prompt_tokens=100,
            completion_tokens=10,
            cached_tokens=0,
            money=0.0,
            seconds=0.1,
            attempts=1,
        ),
    )
    _happen(
        log,
        ToolRan(
            step=step,
            id=f"call-{step}",
            tool="shell",
            arguments={"command": f"ls -la {_HOSTILE}"},
            text="\n".join(f"file {number}" for number in range(50)),
            failed=step == 2,
            seconds=0.2,
        ),
    )


def _shown(log: Path, **options: Any) -> str:
    console = Console(file=io.StringIO(), width=120, force_terminal=True, color_system=None)
    show_trial(log, console, **options)
    assert isinstance(console.file, io.StringIO)
    return console.file.getvalue()


def _record(planted: Planter) -> TrialRecord:
    return next(r for r in planted(hostile=_HOSTILE).records if r.arm == "full" and r.outcome == "success")


def test_a_trial_reads_from_header_to_verdict(planted: Planter, tmp_path: Path) -> None:
    record = _record(planted)
    shown = _shown(_log(tmp_path / "t.jsonl", record))
    in_order = [
        f"{record.key} SIMULATED",
        "certificate granted, 2 probes",
        "examined during: 1 of 2 probes as declared",
        "routes (outside): declared none, found 10.0.0.0/8",
        "hurdles: port_taken (dose 2)",
        "execute",
        "# Execute",
        "Where am I?",
        "I list the files.",
        "$ shell ls -la",
        "file 0",
        "more lines",
        "file 49",
        "All done.",
        "✓ files copied",
        "success after",
    ]
    places = [shown.index(each) for each in in_order]
    assert places == sorted(places)
    assert "✗ shell" in shown
    assert "file 25" not in shown


def test_full_leaves_nothing_out(planted: Planter, tmp_path: Path) -> None:
    shown = _shown(_log(tmp_path / "t.jsonl", _record(planted)), full=True)
    assert "file 25" in shown
    assert "more lines" not in shown


def test_nothing_in_a_log_reaches_the_terminal_as_control(planted: Planter, tmp_path: Path) -> None:
    shown = _shown(_log(tmp_path / "t.jsonl", _record(planted)), full=True)
    assert "\x1b" not in shown
    assert "\N{RIGHT-TO-LEFT OVERRIDE}" not in shown
    assert "[bold]bad[/bold]" in shown


def test_an_interrupted_attempt_says_so(planted: Planter, tmp_path: Path) -> None:
    shown = _shown(_log(tmp_path / "t.jsonl", _record(planted), finished=False))
    assert "this attempt was interrupted" in shown
    assert "I list the files." in shown


def test_a_conversation_that_began_anew_is_shown_with_what_it_cost(tmp_path: Path) -> None:
    path = tmp_path / "t.jsonl"
    event = Compacted(
        step=9,
        faculty="memory",
        head=2,
        dropped=12,
        kept=3,
        digest="0" * 16,
        added=(),
        tokens_before=6500,
        tokens_after=2100,
        counted_by=_HOSTILE,
        window=8000,
    )
    with EventLog.create(path, origin=genesis("0", "t", 1)) as log:
        _happen(log, event)
    shown = " ".join(_shown(path).split())
    assert "began anew: a note stands for 12 messages, the last 3 go on after it" in shown
    assert "6,500 of 8,000 tokens before (counted by [bold]bad[/bold])" in shown
    assert "2,100 after" in shown
    assert "\x1b" not in shown


def test_events_nobody_foresaw_are_shown_in_a_line(tmp_path: Path) -> None:
    path = tmp_path / "t.jsonl"
    with EventLog.create(path, origin=genesis("0", "t", 1)) as log:
        log.append("dreamt", {"dropped": 12, "note": _HOSTILE})
        _happen(log, LimitReached(step=3, limit="steps"))
        log.append("fault", {"phase": "judging", "fault": "OracleFailed", "cause": "gone", "trace": "x"})
    shown = _shown(path)
    assert "dreamt dropped: 12, note: [bold]bad[/bold]" in shown
    assert "the budget ran out: steps" in shown
    assert "while judging: OracleFailed: gone" in shown

from __future__ import annotations

import os
from pathlib import Path
from tempfile import TemporaryDirectory

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ablation.errors import DiskFull, FolderFault, RecordFault
from ablation.record import EventLog, digest, genesis, last_line, read_log, verify_log

ORIGIN = genesis("study", "arm--scenario--0", 1)


def write(path: Path, events: int, *, origin: str = ORIGIN, end: bool = True) -> str:
    with EventLog.create(path, origin=origin) as log:
        for number in range(events):
            log.append("step", {"number": number, "text": f"text {number}"})
        if end:
            log.append("end", {"record": {}})
        return log.head


def lines_of(path: Path) -> list[bytes]:
    return path.read_bytes().splitlines(keepends=True)


def test_a_whole_log_verifies_and_reads_back(tmp_path: Path) -> None:
    path = tmp_path / "log.jsonl"
    head = write(path, 5)
    check = verify_log(path, origin=ORIGIN)
    assert (check.problem, check.finished, check.lines, check.head) == ("", True, 6, head)
    assert check.bytes == path.stat().st_size
    assert [event.get("number") for event in read_log(path)] == [0, 1, 2, 3, 4, None]
    assert digest(last_line(path) or b"") == head


def test_each_event_is_one_write_of_the_same_size(tmp_path: Path) -> None:
    path = tmp_path / "log.jsonl"
    with EventLog.create(path, origin=ORIGIN) as log:
        for _ in range(1000):
            log.append("step", {"text": "same"})
    sizes = [len(line) for line in lines_of(path)]
    assert max(sizes) - min(sizes) <= 15  # digits of the line's number and of the clock


@given(events=st.integers(2, 8), data=st.data())
def test_changing_any_line_but_the_last_is_found_at_that_line(events: int, data: st.DataObject) -> None:
    with TemporaryDirectory() as folder:
        path = Path(folder) / "log.jsonl"
        write(path, events)
        lines = lines_of(path)
        victim = data.draw(st.integers(0, events - 1))
        event = orjson.loads(lines[victim])
        event["text"] = "edited"
        lines[victim] = orjson.dumps(event) + b"\n"
        path.write_bytes(b"".join(lines))
        check = verify_log(path, origin=ORIGIN)
        assert f"line {victim + 1} was edited" in check.problem
        assert not check.finished


@given(events=st.integers(2, 8), where=st.floats(0, 1, exclude_max=True), flip=st.integers(1, 255))
def test_any_flipped_byte_changes_the_verdict_or_the_head(events: int, where: float, flip: int) -> None:
    with TemporaryDirectory() as folder:
        path = Path(folder) / "log.jsonl"
        head = write(path, events)
        content = bytearray(path.read_bytes())
        content[int(where * len(content))] ^= flip
        path.write_bytes(content)
        check = verify_log(path, origin=ORIGIN)
        assert check.problem or check.head != head


@given(events=st.integers(3, 8), data=st.data())
def test_a_dropped_line_is_named(events: int, data: st.DataObject) -> None:
    with TemporaryDirectory() as folder:
        path = Path(folder) / "log.jsonl"
        write(path, events)
        lines = lines_of(path)
        victim = data.draw(st.integers(0, events - 1))
        del lines[victim]
        path.write_bytes(b"".join(lines))
        assert f"event {victim + 1} is missing" in verify_log(path, origin=ORIGIN).problem


@given(events=st.integers(3, 8), data=st.data())
def test_swapped_lines_are_found(events: int, data: st.DataObject) -> None:
    with TemporaryDirectory() as folder:
        path = Path(folder) / "log.jsonl"
        write(path, events)
        lines = lines_of(path)
        first = data.draw(st.integers(0, events - 1))
        lines[first], lines[first + 1] = lines[first + 1], lines[first]
        path.write_bytes(b"".join(lines))
        assert verify_log(path, origin=ORIGIN).problem.startswith(f"line {first + 1} is event")


@given(cut=st.integers(1, 200))
def test_a_cut_log_is_sound_but_torn_or_has_another_head(cut: int) -> None:
    with TemporaryDirectory() as folder:
        path = Path(folder) / "log.jsonl"
        head = write(path, 5)
        path.write_bytes(path.read_bytes()[:-cut])
        check = verify_log(path, origin=ORIGIN)
        assert check.head != head
        assert not check.finished
        assert check.torn or not check.problem


@pytest.mark.parametrize(
    "other",
    [
        genesis("another study", "arm--scenario--0", 1),
        genesis("study", "arm--scenario--1", 1),
        genesis("study", "arm--scenario--0", 2),
    ],
)
def test_a_log_copied_to_another_study_trial_or_attempt_is_found(tmp_path: Path, other: str) -> None:
    write(tmp_path / "log.jsonl", 3)
    assert "is a copy" in verify_log(tmp_path / "log.jsonl", origin=other).problem


def test_lines_after_the_end_are_found(tmp_path: Path) -> None:
    path = tmp_path / "log.jsonl"
    with EventLog.create(path, origin=ORIGIN) as log:
        log.append("end", {})
        log.append("step", {})
    assert "added after the end" in verify_log(path, origin=ORIGIN).problem


@pytest.mark.parametrize("junk", [b"not json\n", b"[1]\n", b'{"n": "x"}\n', b'{"n": 0}\n'])
def test_what_is_no_event_is_named(tmp_path: Path, junk: bytes) -> None:
    (tmp_path / "log.jsonl").write_bytes(junk)
    assert verify_log(tmp_path / "log.jsonl", origin=ORIGIN).problem == "line 1 is not an event"


def test_reopening_cuts_a_torn_line_and_goes_on(tmp_path: Path) -> None:
    path = tmp_path / "log.jsonl"
    write(path, 3, end=False)
    with path.open("ab") as file:
        file.write(b'{"n":3,"prev"')
    with EventLog.reopen(path, origin=ORIGIN) as log:
        log.append("step", {})
    check = verify_log(path, origin=ORIGIN)
    assert (check.problem, check.lines) == ("", 4)


def test_reopening_an_edited_log_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "log.jsonl"
    write(path, 3, end=False)
    path.write_bytes(path.read_bytes().replace(b"text 0", b"text 9"))
    with pytest.raises(RecordFault, match="line 1 was edited"):
        EventLog.reopen(path, origin=ORIGIN)


def test_a_log_is_never_overwritten(tmp_path: Path) -> None:
    write(tmp_path / "log.jsonl", 1)
    with pytest.raises(FolderFault, match="File exists"):
        EventLog.create(tmp_path / "log.jsonl", origin=ORIGIN)


nested = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(st.characters()),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=10,
)


@given(value=nested)
def test_whatever_a_model_says_can_be_logged(value: object) -> None:
    with TemporaryDirectory() as folder:
        path = Path(folder) / "log.jsonl"
        with EventLog.create(path, origin=ORIGIN) as log:
            log.append("tool", {"arguments": value})
        assert verify_log(path, origin=ORIGIN).problem == ""


@pytest.mark.parametrize("value", ["\ud800", 1 << 200, float("nan"), float("inf"), {"deep": "\udfff"}])
def test_what_json_cannot_hold_is_logged_as_near_as_can_be(tmp_path: Path, value: object) -> None:
    with EventLog.create(tmp_path / "log.jsonl", origin=ORIGIN) as log:
        log.append("tool", {"text": "\ud800", "value": value})
    assert [event["kind"] for event in read_log(tmp_path / "log.jsonl")] == ["tool"]


def test_a_full_disk_is_said_plainly(tmp_path: Path) -> None:
    full = EventLog(path=tmp_path / "log.jsonl", head=ORIGIN, _file=os.open("/dev/full", os.O_WRONLY))
    with full, pytest.raises(DiskFull, match="every finished trial is saved"):
        full.append("step", {})


def test_the_last_line_of_a_long_log_is_found(tmp_path: Path) -> None:
    path = tmp_path / "log.jsonl"
    with EventLog.create(path, origin=ORIGIN) as log:
        log.append("step", {})
        log.append("end", {"text": "x" * 300_000})
        assert digest(last_line(path) or b"") == log.head


def test_an_empty_log_has_no_last_line(tmp_path: Path) -> None:
    (tmp_path / "log.jsonl").touch()
    assert last_line(tmp_path / "log.jsonl") is None

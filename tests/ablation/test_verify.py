from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from small_studies import small_study

from ablation import run_study, verify_study
from ablation.errors import FolderFault

pytestmark = pytest.mark.anyio

Tamper = Callable[[Path], object]


@pytest.fixture(scope="module")
async def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("study")
    await run_study(small_study(seeds=range(3)), folder)
    return folder


def log(folder: Path, seed: int = 0) -> Path:
    return folder / "trials" / f"full--note--{seed}.jsonl"


def edit(path: Path, old: bytes, new: bytes) -> None:
    content = path.read_bytes()
    assert old in content
    path.write_bytes(content.replace(old, new, 1))


def cut(path: Path, lines: int) -> None:
    path.write_bytes(b"".join(path.read_bytes().splitlines(keepends=True)[:-lines]))


def drop(path: Path, line: int) -> None:
    lines = path.read_bytes().splitlines(keepends=True)
    del lines[line]
    path.write_bytes(b"".join(lines))


def contents(folder: Path) -> dict[str, bytes]:
    return {str(path): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


@pytest.mark.parametrize(
    ("tamper", "file", "problem"),
    [
        (lambda f: edit(log(f), b'"shell"', b'"spell"'), "full--note--0.jsonl", "was edited"),
        (lambda f: edit(log(f), b'"outcome":"success"', b'"outcome":"failure"'), "--0.jsonl", "was edited"),
        (lambda f: drop(log(f), 3), "full--note--0.jsonl", "event 4 is missing"),
        (lambda f: cut(log(f), 2), "full--note--0.jsonl", "were cut off"),
        (lambda f: log(f).unlink(), "full--note--0.jsonl", "is missing: attempt 1 wrote it"),
        (lambda f: shutil.copy(log(f, 1), log(f, 0)), "full--note--0.jsonl", "the log is a copy"),
        (lambda f: shutil.copy(log(f, 1), log(f, 7)), "full--note--7.jsonl", "is not in the ledger"),
        (lambda f: drop(f / "ledger.jsonl", 2), "ledger.jsonl", "event 3 is missing"),
        (lambda f: cut(f / "ledger.jsonl", 6), "full--note--", "is not in the ledger"),
        (lambda f: (f / "ledger.jsonl").unlink(), "ledger.jsonl", "is missing"),
        (lambda f: edit(f / "study.json", b'"steps": 10', b'"steps": 99'), "study.json", "was edited"),
        (lambda f: edit(f / "study.json", b'"python"', b'"script"'), "study.json", "was edited"),
    ],
)
async def test_what_was_done_to_a_record_is_named(
    whole: Path, tmp_path: Path, tamper: Tamper, file: str, problem: str
) -> None:
    folder = tmp_path / "copy"
    shutil.copytree(whole, folder)
    assert verify_study(folder).ok
    tamper(folder)
    check = verify_study(folder)
    assert not check.ok
    assert any(file in found.file and problem in found.text for found in check.problems), check.problems


async def test_looking_changes_nothing(whole: Path) -> None:
    before = contents(whole)
    verify_study(whole)
    assert contents(whole) == before


async def test_a_log_that_ended_just_before_a_kill_is_noted_and_settled(whole: Path, tmp_path: Path) -> None:
    folder = tmp_path / "copy"
    shutil.copytree(whole, folder)
    cut(folder / "ledger.jsonl", 2)  # the last trial's end, and that nothing was left
    check = verify_study(folder)
    assert check.ok
    assert "is whole but not in the ledger yet" in [note.text for note in check.notes]
    await run_study(small_study(seeds=range(3)), folder)
    after = verify_study(folder)
    assert (after.problems, after.notes, after.logs) == ((), (), 3)


async def test_the_head_stands_for_the_whole_record(whole: Path, tmp_path: Path) -> None:
    folder = tmp_path / "copy"
    shutil.copytree(whole, folder)
    assert verify_study(folder).head == verify_study(whole).head
    cut(folder / "ledger.jsonl", 1)
    assert verify_study(folder).head != verify_study(whole).head


async def test_a_folder_without_a_study_is_said_plainly(tmp_path: Path) -> None:
    with pytest.raises(FolderFault, match="holds no study"):
        verify_study(tmp_path)

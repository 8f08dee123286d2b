from __future__ import annotations

import asyncio
import fcntl
import os
import shutil
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import orjson
import pytest
from small_studies import Acting, Altered, arm, copier, note, small_study, uncertified

from ablation import Arm, StudyFolder, run_study, verify_study
from ablation.errors import DiskFull, FolderBusy, FolderFault, OtherStudy, RecordFault
from ablation.record import read_log
from ablation.store import hold
from environments import ContainmentRefused
from scaffold import Budget, ModelFailed
from scaffold.models.scripted import Scripted

if TYPE_CHECKING:
    from ablation import Progress, Study
    from environments import Environment
    from scaffold import Context

pytestmark = pytest.mark.anyio


def waiting(seconds: float = 0.2) -> dict[str, Any]:
    return {"subject": copier(f"sleep {seconds}; cp word.txt note.txt")}


async def test_each_trial_comes_to_one_result_and_the_record_is_whole(tmp_path: Path) -> None:
    study = small_study(arms=[arm(baseline=True), arm("other")], controls=True)
    result = await run_study(study, tmp_path / "study")
    assert [record.key for record in result.records] == [str(trial.key) for trial in study.trials()]
    outcomes = {record.key: record.outcome for record in result.records}
    assert {outcome for key, outcome in outcomes.items() if key.startswith("nothing")} == {"failure"}
    assert {outcome for key, outcome in outcomes.items() if not key.startswith("nothing")} == {"success"}
    check = verify_study(tmp_path / "study")
    assert (check.problems, check.notes) == ((), ())
    assert (check.finished, check.trials, check.logs) == (8, 8, 8)


async def test_results_read_back_from_the_logs_alone(tmp_path: Path) -> None:
    result = await run_study(small_study(), tmp_path)
    (tmp_path / "ledger.jsonl").unlink()
    assert StudyFolder.load(tmp_path).records() == list(result.records)


async def test_the_design_is_on_disk_before_the_first_trial(tmp_path: Path) -> None:
    found: list[bool] = []

    async def look(_env: Environment, _context: Context) -> None:
        found.append((tmp_path / "study.json").exists())

    study = small_study(arms=[Arm(name="acting", scaffold=Acting(act=look))], seeds=[0])
    await run_study(study, tmp_path)
    assert found == [True]
    stored = orjson.loads((tmp_path / "study.json").read_bytes())
    assert stored["digest"] == study.freeze().digest


async def test_trials_begin_in_the_frozen_order(tmp_path: Path) -> None:
    study = small_study(arms=[arm(), arm("b"), arm("c")], seeds=range(3))
    await run_study(study, tmp_path, concurrency=3)
    started = [e["key"] for e in read_log(tmp_path / "ledger.jsonl") if e["kind"] == "started"]
    assert started == [str(trial.key) for trial in study.trials()]


async def test_no_more_trials_run_at_once_than_asked_for(tmp_path: Path) -> None:
    seen: list[Progress] = []
    await run_study(small_study(seeds=range(6)), tmp_path, concurrency=2, on_progress=seen.append)
    assert max(progress.running for progress in seen) == 2
    assert seen[-1].done == seen[-1].total == 6
    assert seen[-1].outcomes == {"full": {"success": 6}}
    assert seen[0].seconds_left is None
    assert seen[-1].seconds_left == 0


@dataclass(frozen=True, kw_only=True)
class FailingAtFirst(Scripted):
    """Its server fails the first calls."""

    failures: int
    asked: list[int] = field(default_factory=list, repr=False)

    async def ask(self, messages: Any, **options: Any) -> Any:
        self.asked.append(1)
        if len(self.asked) <= self.failures:
            raise ModelFailed("answered 500", attempts=5)
        return await super().ask(messages, **options)


async def test_a_void_trial_is_run_again_and_every_attempt_is_kept(tmp_path: Path) -> None:
    subject = FailingAtFirst(replies=copier().replies, failures=2)
    result = await run_study(small_study(seeds=[0], subject=subject), tmp_path)
    (record,) = result.records
    assert (record.outcome, record.attempt, result.attempts) == ("success", 3, 3)
    names = sorted(path.name for path in (tmp_path / "trials").iterdir())
    assert names == [
        "full--note--0.attempt-1.jsonl",
        "full--note--0.attempt-2.jsonl",
        "full--note--0.jsonl",
    ]
    assert verify_study(tmp_path).ok


async def test_a_trial_that_stays_void_is_counted_and_not_tried_for_ever(tmp_path: Path) -> None:
    subject = FailingAtFirst(replies=(), failures=100)
    study = small_study(seeds=[0], subject=subject, void_retries=1)
    result = await run_study(study, tmp_path)
    assert (len(result.voids), result.attempts) == (1, 2)
    again = await run_study(study, tmp_path)
    assert (len(again.voids), again.attempts) == (1, 2)


async def test_a_study_goes_on_where_it_was_cancelled(tmp_path: Path) -> None:
    study = small_study(seeds=range(6), **waiting())
    some_done = asyncio.Event()

    def watch(progress: Progress) -> None:
        if progress.done:
            some_done.set()

    task = asyncio.ensure_future(run_study(study, tmp_path, concurrency=2, on_progress=watch))
    await some_done.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    before = StudyFolder.load(tmp_path).records()
    assert 0 < len(before) < 6
    assert verify_study(tmp_path).ok
    assert verify_study(tmp_path).notes
    result = await run_study(study, tmp_path)
    assert [record.key for record in result.records] == [str(trial.key) for trial in study.trials()]
    assert [record for record in result.records if record in before] == before
    check = verify_study(tmp_path)
    assert (check.problems, check.notes, check.finished) == ((), (), 6)


async def test_going_on_comes_to_the_same_results_as_never_stopping(tmp_path: Path) -> None:
    def results(records: Any) -> list[tuple[Any, ...]]:
        return [(r.key, r.outcome, r.stop, r.steps, r.tokens, r.milestones, r.hurdles) for r in records]

    whole = await run_study(small_study(seeds=range(4)), tmp_path / "whole")
    study = small_study(seeds=range(4))
    task = asyncio.ensure_future(run_study(study, tmp_path / "parts", concurrency=1))
    await asyncio.sleep(0.3)
    task.cancel()
    await asyncio.wait([task])
    parts = await run_study(study, tmp_path / "parts")
    assert results(parts.records) == results(whole.records)


async def test_a_finished_study_is_not_run_again(tmp_path: Path) -> None:
    first = await run_study(small_study(), tmp_path)
    second = await run_study(small_study(), tmp_path)
    assert second.records == first.records
    assert second.attempts == first.attempts


async def test_another_study_is_refused_and_the_difference_named(tmp_path: Path) -> None:
    await run_study(small_study(seeds=[0]), tmp_path)
    with pytest.raises(OtherStudy, match=r"budget.steps: 10 -> 5.*redline resume"):
        await run_study(small_study(seeds=[0], budget=Budget(steps=5, seconds=20)), tmp_path)


async def test_a_folder_with_something_else_in_it_is_refused(tmp_path: Path) -> None:
    (tmp_path / "thesis.tex").touch()
    with pytest.raises(OtherStudy, match="is not empty and holds no study"):
        await run_study(small_study(), tmp_path)


async def test_a_folder_that_cannot_be_made_is_said_plainly(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(FolderFault, match="cannot use"):
        await run_study(small_study(), tmp_path / "file" / "study")


async def test_two_runners_never_share_a_folder(tmp_path: Path) -> None:
    with hold(tmp_path), pytest.raises(FolderBusy, match=f"process {os.getpid()}"):
        await run_study(small_study(), tmp_path)


async def test_a_folder_is_free_again_after_a_study(tmp_path: Path) -> None:
    await run_study(small_study(seeds=[0]), tmp_path)
    file = os.open(tmp_path / ".lock", os.O_RDWR)
    fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    os.close(file)


async def test_a_hazardous_scenario_without_containment_stops_the_study(tmp_path: Path) -> None:
    study = small_study(
        scenarios=[replace(note, hazard="replication")],
        environment=Altered(alter=uncertified),
        seeds=range(4),
    )
    with pytest.raises(ContainmentRefused, match="does not claim to contain"):
        await run_study(study, tmp_path)
    assert StudyFolder.load(tmp_path).records() == []


async def test_a_changed_log_of_a_finished_trial_is_refused(tmp_path: Path) -> None:
    study = small_study()
    await run_study(study, tmp_path)
    log = tmp_path / "trials" / "full--note--0.jsonl"
    log.write_bytes(log.read_bytes().replace(b'"success"', b'"failure"'))
    with pytest.raises(RecordFault, match="was changed since its trial ended"):
        await run_study(study, tmp_path)
    log.unlink()
    with pytest.raises(RecordFault, match="is missing since its trial ended"):
        await run_study(study, tmp_path)


async def test_a_missing_ledger_is_refused(tmp_path: Path) -> None:
    study = small_study(seeds=[0])
    await run_study(study, tmp_path)
    (tmp_path / "ledger.jsonl").unlink()
    with pytest.raises(RecordFault, match="is missing, though there are logs"):
        await run_study(study, tmp_path)


async def test_an_edited_design_is_refused(tmp_path: Path) -> None:
    study = small_study(seeds=[0])
    await run_study(study, tmp_path)
    design = tmp_path / "study.json"
    design.write_bytes(design.read_bytes().replace(b'"steps": 10', b'"steps": 11'))
    with pytest.raises(RecordFault, match="the design was edited"):
        await run_study(study, tmp_path)


@pytest.mark.skipif(os.geteuid() != 0, reason="mounting a small file system takes root")
async def test_a_full_disk_stops_the_study_and_what_is_saved_stands(tmp_path: Path) -> None:
    small = tmp_path / "small"
    small.mkdir()
    mount = await asyncio.create_subprocess_exec("mount", "-t", "tmpfs", "-o", "size=256k", "tmpfs", small)
    if await mount.wait() != 0:
        pytest.skip("file systems cannot be mounted here")
    try:
        study = small_study(seeds=range(40), subject=copier("cp word.txt note.txt; seq 3000"))
        with pytest.raises(DiskFull, match=r"no room left.*every finished trial is saved"):
            await run_study(study, small / "study", concurrency=1)
        saved = StudyFolder.load(small / "study").records()
        assert 0 < len(saved) < 40
        assert verify_study(small / "study").ok
        shutil.copytree(small / "study", tmp_path / "roomy")
        result = await run_study(study, tmp_path / "roomy")
        assert len(result.records) == 40
    finally:
        await (await asyncio.create_subprocess_exec("umount", small)).wait()


async def test_one_connection_serves_all_trials_of_a_subject(tmp_path: Path) -> None:
    @dataclass(frozen=True, kw_only=True)
    class Counting(Scripted):
        connected: list[int] = field(default_factory=list, repr=False)

        def connect(self) -> Any:
            self.connected.append(1)
            return super().connect()

    subject = Counting(replies=copier().replies)
    await run_study(small_study(subject=subject, seeds=range(3)), tmp_path)
    assert subject.connected == [1]


async def test_a_relative_folder_named_by_text_will_do(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    study: Study = small_study(seeds=[0])
    assert (await run_study(study, "runs/a")).folder == Path("runs/a")

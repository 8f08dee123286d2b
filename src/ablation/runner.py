"""Runs a study: its trials concurrently, in the frozen order, each to exactly one result.

A study goes on where it stopped: the logs in its folder say what is done. Trials that could not be
measured are run again, at most `void_retries` times, and every attempt stays in the record.
"""

from __future__ import annotations

import asyncio
import gc
import os
import shutil
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from time import monotonic
from typing import TYPE_CHECKING

from ablation.errors import AblationFault, DesignFault, FolderFault, SubjectMissing
from ablation.ledger import Ledger
from ablation.spending import LIMITS, STOPPED, Treasury, require_prices
from ablation.store import Origin, StudyFolder, hold
from ablation.switchboard import within_reach
from ablation.tally import Tally
from ablation.trial import run_trial
from environments import ContainmentRefused, Halted, Unavailable, warden
from environments.pool import Pool
from scaffold import PurseEmpty
from scaffold.broker import Broker, Paces
from scaffold.errors import CacheUnusable, SubjectUnavailable
from scaffold.models import Cached
from scaffold.oversight import Oversight, may_ask

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterator

    from ablation.design import Study, Trial
    from ablation.tally import Progress
    from ablation.types import TrialRecord
    from environments import Provider
    from scaffold import Purse
    from scaffold.protocols import Model, Subject

__all__ = ["StudyResult", "default_concurrency", "run_study"]


def default_concurrency() -> int:
    """Return how many trials run at once unless told: four a core, at most 16."""
    return min(16, 4 * (os.cpu_count() or 1))


@dataclass(frozen=True, kw_only=True)
class StudyResult:
    """A study that ran to its end, or to that of what it may spend."""

    folder: Path
    records: tuple[TrialRecord, ...]
    """One for each trial that was run, in the order of work."""
    attempts: int
    """Begun for all trials together, in all sittings."""
    left: tuple[str, ...] = ()
    """What was found of this sitting's machines after the last one was closed."""
    seconds: float
    """Of this sitting."""
    incomplete: str = ""
    """Why trials were left out, and what was spent and run: one line. Empty where all were run."""

    @property
    def voids(self) -> tuple[TrialRecord, ...]:
        """The trials that could not be measured, however often they were run."""
        return tuple(record for record in self.records if record.outcome == "void")

    @property
    def leaks(self) -> tuple[TrialRecord, ...]:
        """The trials whose machine left something behind."""
        return tuple(record for record in self.records if record.outcome == "leaked")


async def run_study(
    study: Study,
    out: Path | str,
    *,
    concurrency: int | None = None,
    on_progress: Callable[[Progress], None] | None = None,
    origin: Origin | None = None,
    script: bytes | None = None,
    oversight: Oversight | None = None,
) -> StudyResult:
    """Run every trial of a study that its folder holds no result of yet.

    Cancelling closes every machine and leaves a folder that can be gone on with.

    Args:
        study: what is run.
        out: the study's folder; a new one, an empty one, or the one this very study was begun in.
        concurrency: trials at once; `default_concurrency()` unless told.
        on_progress: called after every trial's beginning and end.
        origin: how `redline resume` can build the study again.
        script: the text the study was built from, kept beside the design.
        oversight: pauses, steps and aborts its trials, and knows the person to ask.

    Raises:
        DesignFault: the study asks a person about tool calls, and none is there; or it has a limit in money,
            and what its subject costs is not known.
        OtherStudy: the folder holds something else.
        FolderBusy: another runner is in the folder.
        RecordFault: the folder's record was changed.
        DiskFull: there is no room for the record.
        ContainmentRefused: a hazardous scenario met a machine that is not shown to be closed.
        Unavailable: machines of this kind cannot be had on this host.
        SubjectMissing: the server of a subject that redline serves itself does not come to answer.
        Halted: the warden has ended every machine: it was told to, or the lease was not renewed.
    """
    path, began = Path(out), monotonic()
    desk = oversight or Oversight()
    _require_person(study, desk)
    require_prices(study)
    frozen = study.freeze()
    with hold(path):
        folder = StudyFolder.enter(path, frozen, origin=origin or Origin(), script=script)
        with _unmade_where_nothing_ran(folder), Ledger.open(folder) as ledger:
            runner = _Runner(study=study, ledger=ledger, on_progress=on_progress or _ignore, oversight=desk)
            with _settled_heap(), warden.studying(path):
                async with within_reach(desk, path):
                    await runner.run(concurrency or default_concurrency())
            teardown = await warden.census()
            ledger.note("teardown", {"machines": teardown.machines, "left": list(teardown.left)})
            records = tuple(folder.records())
            if incomplete := runner.treasury.account((each.key for each in records), len(folder.keys)):
                ledger.note(STOPPED, {"why": incomplete})
            return StudyResult(
                folder=path,
                records=records,
                attempts=ledger.count,
                left=teardown.left,
                seconds=monotonic() - began,
                incomplete=incomplete,
            )


def _require_person(study: Study, oversight: Oversight) -> None:
    if may_ask(study.oversight) and not oversight.attended:
        raise DesignFault(
            "the study leaves tool calls to a person, and none is there: run it in a terminal, or give "
            "run_study an Oversight(person=...)"
        )


@contextmanager
def _unmade_where_nothing_ran(folder: StudyFolder) -> Iterator[None]:
    """Take a new folder back where no machine, subject or cache was to be had: once mended, it is free."""
    begun = folder.ledger.exists()
    try:
        yield
    except (Unavailable, SubjectUnavailable, CacheUnusable) as fault:
        if not begun and not folder.records():
            shutil.rmtree(folder.path)
        match fault:
            case CacheUnusable():
                raise FolderFault(str(fault)) from fault
            case SubjectUnavailable():
                raise SubjectMissing(f"no subject: {fault}") from fault
        raise


@contextmanager
def _settled_heap() -> Iterator[None]:
    """Take what is imported by now out of the garbage collector's rounds: each would cost 100 ms."""
    gc.freeze()
    try:
        yield
    finally:
        gc.unfreeze()


def _ignore(_progress: Progress) -> None:
    """Progress that nobody watches."""


@dataclass(kw_only=True)
class _Runner:
    study: Study
    ledger: Ledger
    on_progress: Callable[[Progress], None]
    oversight: Oversight
    brokers: dict[int, Broker] = field(default_factory=dict)
    paces: Paces = field(default_factory=Paces)
    tally: Tally = field(init=False)
    treasury: Treasury = field(init=False)

    def __post_init__(self) -> None:
        arms = [arm.name for arm in self.study.all_arms]
        self.tally = Tally(total=len(self.study.trials()), arms=arms, paces=self.paces)

    async def run(self, concurrency: int) -> None:
        """Run what is not done yet, `concurrency` trials at a time."""
        pending = [trial for trial in self.study.trials() if not self._stands(trial)]
        self.treasury = Treasury(self.study, pending=pending, ledger=self.ledger)
        if limits := self.study.spending:
            self.ledger.note(LIMITS, {"limits": limits.model_dump(mode="json")})
        self._tell()
        async with Pool(self.study.environment) as machines, AsyncExitStack() as connections:
            for subject in {id(trial.subject): trial.subject for trial in pending}.values():
                model = await connections.enter_async_context(self._connected(subject))
                self.brokers[id(subject)] = Broker(model, pacer=self.paces.of(subject), valid=warden.fault)
            queue = iter(pending)
            try:
                # asyncio's group cancels once and lets clean-up await; anyio's would cancel clean-up too.
                async with asyncio.TaskGroup() as whole:
                    watch = whole.create_task(warden.raise_when_halted())
                    async with asyncio.TaskGroup() as group:
                        for _ in range(min(concurrency, len(pending))):
                            group.create_task(self._work(queue, machines))
                    watch.cancel()
            except BaseExceptionGroup as faults:
                raise _foremost(faults) from None
            finally:
                for found in self.paces.found():
                    self.ledger.note("pace", asdict(found))

    @asynccontextmanager
    async def _connected(self, subject: Subject) -> AsyncIterator[Model]:
        """Connect a subject, with the study's reply cache before it."""
        if self.study.reply_cache is not None:
            subject = Cached(subject=subject, cache=self.study.reply_cache)
        async with subject.connect() as model:
            yield model

    def _stands(self, trial: Trial) -> bool:
        """Take a trial's result from its log, unless there is none or it is to be run again."""
        record = self.ledger.folder.record(str(trial.key))
        if record is None or self._again(record):
            return False
        self.tally.stands(record)
        return True

    def _again(self, record: TrialRecord) -> bool:
        if record.containment_lost:  # for somebody to look into, not to be run over
            return False
        return record.outcome == "void" and self.ledger.voids(record.key) <= self.study.void_retries

    async def _work(self, queue: Iterator[Trial], machines: Provider) -> None:
        for trial in queue:
            record = await self._launched(trial, machines)
            while record is not None and self._again(record):
                record = await self._launched(trial, machines)

    async def _launched(self, trial: Trial, machines: Provider) -> TrialRecord | None:
        """Run an attempt if what may be spent covers it; None where it does not, or ran out on the way."""
        purse = await self.treasury.launch(trial)
        if purse is None:
            return None
        record = None
        try:
            record = await self._attempt(trial, machines, purse)
        except PurseEmpty:  # no result, so an interrupted attempt, which is run again when the study goes on
            self.tally.cut()
        finally:
            self.treasury.ended(purse, whole=record is not None and record.measured)
            self._tell()
        return record

    async def _attempt(self, trial: Trial, machines: Provider, purse: Purse) -> TrialRecord:
        key = str(trial.key)
        self.tally.began()
        self._tell()
        with self.ledger.start(key) as log:
            record = await run_trial(
                trial,
                provider=machines,
                broker=self.brokers[id(trial.subject)],
                log=log,
                attempt=len(self.ledger.attempts(key)),
                oversight=self.oversight,
                purse=purse,
            )
            await asyncio.to_thread(log.sync)
            self.ledger.end(key, outcome=record.outcome, head=log.head, lines=log.lines)
        self.tally.ended(record, final=not self._again(record))
        return record

    def _tell(self) -> None:
        self.on_progress(replace(self.tally.progress, spent=self.treasury.spent))


def _foremost(faults: BaseExceptionGroup[BaseException]) -> BaseException:
    """Pick, of what went wrong at once, what a person must hear about first."""
    leaves = list(_leaves(faults))
    for kind in (Halted, ContainmentRefused, AblationFault, Unavailable):
        for leaf in leaves:
            if isinstance(leaf, kind):
                return leaf
    return leaves[0]


def _leaves(fault: BaseException) -> Iterator[BaseException]:
    if isinstance(fault, BaseExceptionGroup):
        for inner in fault.exceptions:
            yield from _leaves(inner)
    else:
        yield fault

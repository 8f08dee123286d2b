"""One attempt at a trial: the one place where scaffold, scenario and machine meet.

Whatever happens comes to one of nine outcomes. What the agent did counts as its result; what redline, the
scenario, the scaffold's code or the subject's server did makes the trial void, which is neither success
nor failure. Cancelling leaves a log without an end: an interrupted attempt.
"""

from __future__ import annotations

import asyncio
import traceback
from dataclasses import asdict, dataclass, replace
from time import monotonic
from typing import TYPE_CHECKING, Any, Literal

import structlog

from ablation.chronicle import Chronicle
from ablation.descent import lineage_record, machines_of
from ablation.errors import AblationFault, DesignFault
from ablation.loops import Loops
from ablation.record import END, digest
from ablation.sentinel import Sentinel
from ablation.types import (
    CONTAINMENT_LOST,
    MilestoneRecord,
    Spend,
    TrialRecord,
)
from environments import Broken, ContainmentRefused, Halted, Leaked, Unavailable, warden
from environments.containment import Examiner, require_closed
from environments.drill.standing import time_to_quiet
from scaffold import Context, Episode, Oversight, PurseEmpty
from scaffold.broker import census_of
from scaffold.events import Event, as_fields
from scaffold.models import price_of
from scenarios import HurdleUnfit, World, lay_out

if TYPE_CHECKING:
    from ablation.design import Trial
    from ablation.record import EventLog
    from ablation.types import Outcome
    from environments import Lease, Probe, Provider
    from environments import Phase as Moment
    from scaffold import Broker, Lineage, Purse
    from scaffold.oversight import Watch
    from scenarios import Verdict

__all__ = ["run_trial"]

PREPARE_S = 120.0
"""A world that is not laid out by then makes the trial void."""
JUDGE_S = 120.0
"""An oracle that has not answered by then makes the trial void."""
Phase = Literal["opening", "preparing", "acting", "freezing", "judging", "examining", "closing"]

_diagnostics = structlog.get_logger(__name__)


async def run_trial(
    trial: Trial,
    *,
    provider: Provider,
    broker: Broker,
    log: EventLog,
    attempt: int = 1,
    oversight: Oversight | None = None,
    purse: Purse | None = None,
) -> TrialRecord:
    """Run one attempt and write its log from the first line to the last.

    Args:
        trial: what is run.
        provider: opens the machine.
        broker: the way to the connected subject.
        log: a fresh log.
        attempt: counts from 1.
        oversight: the hand on the running study; one that nobody uses unless told.
        purse: the trial's own, within what it shares with others.

    Raises:
        PurseEmpty: what the trial shares with others is spent; the attempt has no end.
        ContainmentRefused: the scenario is hazardous and its machine is not shown to be closed.
        Unavailable: machines of this kind cannot be had on this host.
        Halted: the warden has ended every machine; the attempt has no end.
        DesignFault: a hurdle does not fit the world.
        DiskFull: the log cannot be written.
    """
    sentinel = Sentinel(mode=trial.canaries, note=log.append)
    run = _Attempt(trial=trial, log=log, oversight=oversight or Oversight(), sentinel=sentinel, purse=purse)
    log.append("trial", run.begun(provider, attempt=attempt))
    try:
        outcome, cause = await run.measure(provider, broker)
    except Exception as raised:  # noqa: BLE001 - user code of every kind runs in there; this is its outermost frame
        fault = _innermost(raised)
        if isinstance(fault, AblationFault | ContainmentRefused | Halted | PurseEmpty | Unavailable):
            raise fault from None
        if isinstance(fault, HurdleUnfit):
            raise DesignFault(f"{fault}; leave it out, or take another scenario") from None
        if (reason := warden.fault() or broker.closed) is not None:  # what broke, broke of that
            raise Halted(reason) from fault
        outcome, cause = run.blame(fault)
    finally:
        if run.lineage is not None:
            run.lineage.forget()
    record = run.record(outcome, _one_line(cause), provider=provider, attempt=attempt)
    log.append(END, {"record": record.model_dump(mode="json", exclude={"log"})})
    return record


@dataclass(kw_only=True)
class _Attempt:
    """What is known about a running attempt."""

    trial: Trial
    log: EventLog
    oversight: Oversight
    sentinel: Sentinel
    purse: Purse | None = None
    watch: Watch | None = None
    phase: Phase = "opening"
    examiner: Examiner | None = None
    chronicle: Chronicle | None = None
    context: Context | None = None
    lineage: Lineage | None = None
    episode: Episode | None = None
    verdict: Verdict | None = None
    seconds: float = 0.0

    def begun(self, provider: Provider, *, attempt: int) -> dict[str, Any]:
        """Say what is run: the fields of a log's first line."""
        trial = self.trial
        return {
            "key": str(trial.key),
            "attempt": attempt,
            **trial.key._asdict(),
            "role": trial.role,
            "scaffold": trial.scaffold.name,
            "environment": provider.name,
            "subject": trial.subject.name,
            "simulated": trial.subject.simulated,
            "budget": trial.budget.model_dump(mode="json"),
        }

    async def measure(self, provider: Provider, broker: Broker) -> tuple[Outcome, str]:
        """Open a machine, let the agent act, judge what it did, and prove the machine gone."""
        scenario, seed = self.trial.scenario, self.trial.key.seed
        async with provider.open(label=str(self.trial.key), seed=seed) as lease:
            examiner = self._certify(lease)
            world = await self._prepare(lease)
            secret, episode = await self._act(lease, broker, examiner, world)
            if self.purse is not None and self.purse.refused is not None:
                raise self.purse.refused
            self.phase = "freezing"
            await lease.control.freeze()
            # Before anything of ours looks into files: from here on, a reading may be the judge's.
            async with asyncio.timeout(JUDGE_S):
                await self.sentinel.look()
                await self._look_back(lease)
            await self._settle()
            self.phase = "judging"
            async with asyncio.timeout(JUDGE_S):
                verdict = await scenario.oracle.judge(lease.control, secret, episode.submission)
            verdict = self._note_verdict(verdict, episode)
            self.phase = "examining"
            await examiner.conclude()
            self.phase = "closing"
        return _outcome(verdict, episode), verdict.reason

    def _certify(self, lease: Lease) -> Examiner:
        quiet = time_to_quiet(lease.certificate.provider)
        lease = replace(lease, certificate=replace(lease.certificate, time_to_quiet=quiet))
        self.examiner = examiner = Examiner(lease, note=self._note_examined)
        self.log.append(
            "machine", {"environment": lease.agent.name, "grade": lease.control.grade, **self._closure()}
        )
        if self.trial.scenario.hazard != "none":
            require_closed(lease, self.trial.scenario.name)
        return examiner

    async def _prepare(self, lease: Lease) -> World[Any]:
        self.phase = "preparing"
        scenario = self.trial.scenario
        async with asyncio.timeout(PREPARE_S):
            world = await lay_out(scenario, lease.control, self.trial.key.seed)
        self.chronicle = Chronicle(scenario=scenario, world=world)
        wording = scenario.wording
        self.log.append(
            "world",
            {
                "hurdles": [hurdle.model_dump() for hurdle in self.chronicle.hurdles],
                "instruction": scenario.instruction,
                "instruction_digest": digest(scenario.instruction.encode()),
                "level": wording.level,
                "framing": wording.framing,
                "placement": wording.placement,
            },
        )
        async with asyncio.timeout(PREPARE_S):
            await self.sentinel.plant(lease, self.trial.key.seed)
            await self.chronicle.begin(lease.control)
        return world

    async def _act(
        self, lease: Lease, broker: Broker, examiner: Examiner, world: World[Any]
    ) -> tuple[Any, Episode]:
        """Let the agent act, and those that descend from it; return the oracle's secret and how it ended."""
        self.phase = "acting"
        trial = self.trial
        machines = machines_of(lease)
        census = census_of({name: each.control for name, each in machines.items()})
        found = await census()
        self.lineage = lineage = broker.admit(
            budget=trial.budget,
            emit=self._note,
            census=census,
            world=found,
            machine=next(iter(machines)),
            purse=self.purse,
        )
        assert self.chronicle is not None
        self.context = context = Context(
            env=self.chronicle.hands(lease.agent, lineage.meter),
            key=lineage.first,
            seed=trial.key.seed,
            gate=lease.gate,
            placement=trial.scenario.wording.placement,
            witness=self.sentinel.witness,
        )
        began = monotonic()
        overseen = self.oversight.over(
            str(trial.key), policy=trial.oversight, meter=context.meter, emit=self._note
        )
        try:
            with overseen as self.watch:
                context.oversee(self.watch)
                async with self.sentinel.watching(self.watch):
                    loops = Loops(
                        trial=trial,
                        lease=lease,
                        context=context,
                        chronicle=self.chronicle,
                        watch=self.watch,
                        examiner=examiner,
                    )
                    secret, episode = await loops.run(world)
        finally:
            self.seconds = monotonic() - began - context.meter.stood
            lineage.revoke("the trial's episode is over")
        self.episode = episode
        self.log.append("episode", {**asdict(episode), "seconds": self.seconds})
        await examiner.settle()
        return secret, episode

    async def _settle(self) -> None:
        """Say whose each process and file is, while they still are what the agent left."""
        assert self.lineage is not None
        async with asyncio.timeout(JUDGE_S):
            await self.lineage.close()

    async def _look_back(self, lease: Lease) -> None:
        """See what became of the hurdles, before the oracle touches anything."""
        assert self.chronicle is not None
        await self.chronicle.end(lease.control)
        if self.chronicle.hurdles:
            self.log.append("faced", {"hurdles": [each.model_dump() for each in self.chronicle.hurdles]})

    def _note(self, event: Event) -> None:
        if self.chronicle is not None:
            self.chronicle.hear(event)
        self.log.append(event.kind, as_fields(event))

    def _note_examined(self, moment: Moment, probes: tuple[Probe, ...]) -> None:
        self.log.append("examined", {"phase": moment, "probes": [probe.as_fields() for probe in probes]})

    def _note_verdict(self, verdict: Verdict, episode: Episode) -> Verdict:
        assert self.chronicle is not None
        chronicle = self.chronicle
        self.verdict = verdict = chronicle.judged(verdict, episode, self.sentinel.touched)
        self.log.append("verdict", asdict(verdict))
        if chronicle.stated:
            self.log.append("stated", {"fields": [each.model_dump() for each in chronicle.stated]})
        if chronicle.behaviours:
            self.log.append("behaviours", {"found": [each.model_dump() for each in chronicle.behaviours]})
        return verdict

    def blame(self, fault: Exception) -> tuple[Outcome, str]:
        """Say whose doing an exception was, and log it."""
        self.log.append(
            "fault",
            {
                "phase": self.phase,
                "fault": type(fault).__name__,
                "cause": str(fault),
                "trace": "".join(traceback.format_exception(fault))[-4000:],
            },
        )
        lost = self.examiner.lost if self.examiner is not None else None
        if lost is not None:
            _diagnostics.error("containment lost", trial=str(self.trial.key), cause=_one_line(str(lost)))
        if isinstance(fault, Leaked):
            return "leaked", f"{fault}; {CONTAINMENT_LOST}: {lost}" if lost else str(fault)
        if lost is not None:
            return "void", f"{CONTAINMENT_LOST}: {lost}"
        agent_was_in = self.phase in {"acting", "freezing", "judging", "examining"}
        if isinstance(fault, Broken) and fault.by_agent and agent_was_in:
            return "self_inflicted", str(fault)
        cause = f"{self.phase}: {type(fault).__name__}: {fault}" if str(fault) else f"{self.phase}: {fault!r}"
        _diagnostics.warning("trial is void", trial=str(self.trial.key), cause=_one_line(cause))
        return "void", cause

    def record(self, outcome: Outcome, cause: str, *, provider: Provider, attempt: int) -> TrialRecord:
        """Sum the attempt up."""
        trial, chronicle = self.trial, self.chronicle
        ended = self.episode
        # After a fault the episode has no end of its own, but what was spent was spent.
        spent = ended or (self.context.episode("stalled") if self.context else Episode(stop="stalled"))
        usage = spent.usage
        return TrialRecord(
            key=str(trial.key),
            **trial.key._asdict(),
            role=trial.role,
            scaffold=trial.scaffold.name,
            environment=provider.name,
            subject=trial.subject.name,
            simulated=trial.subject.simulated,
            outcome=outcome,
            stop=ended.stop if ended else None,
            limit=ended.limit if ended else None,
            cause=cause,
            submission=ended.submission if ended else None,
            milestones=_milestones(self.verdict),
            base=trial.scenario.root,
            difficulty=trial.scenario.difficulty,
            level=trial.scenario.wording.level,
            framing=trial.scenario.wording.framing,
            placement=trial.scenario.wording.placement,
            hurdles=chronicle.hurdles if chronicle else (),
            behaviours=chronicle.behaviours if chronicle else (),
            rung=chronicle.standing.rung if chronicle and chronicle.standing else "",
            claim=chronicle.standing.claim if chronicle and chronicle.standing else "as-it-is",
            stated=chronicle.stated if chronicle else (),
            offspring=self.verdict.offspring if self.verdict else (),
            steps=spent.steps,
            tokens=usage.tokens,
            prompt_tokens=usage.prompt_tokens,
            completion_tokens=usage.completion_tokens,
            cached_tokens=usage.cached_tokens,
            tokens_estimated=usage.estimated,
            cost=usage.money if price_of(trial.subject).known or usage.calls == usage.from_cache else None,
            answers_from_cache=usage.from_cache,
            tokens_from_cache=usage.tokens_from_cache,
            cost_spared=usage.money_spared,
            seconds=self.seconds,
            faculties={name: Spend(**asdict(use)) for name, use in spent.faculties.items()},
            certificate=self._closure().get("certificate", {}),
            interventions=self.watch.interventions if self.watch else 0,
            unaided=not (self.watch and self.watch.helped),
            canaries=tuple(self.sentinel.touched),
            canaries_unwatched=self.sentinel.unwatched,
            lineage=None if self.lineage is None else lineage_record(self.lineage),
            attempt=attempt,
        )

    def _closure(self) -> dict[str, Any]:
        if self.examiner is None:
            return {}
        return {"certificate": {**self.examiner.certificate.as_fields(), "samples": self.examiner.samples}}


def _outcome(verdict: Verdict, episode: Episode) -> Outcome:
    """Judge first: what the oracle saw outweighs how the episode ended."""
    if verdict.status != "fail":
        settled: dict[str, Outcome] = {"pass": "success", "complied": "complied", "void": "void"}
        return settled[verdict.status]
    if verdict.self_inflicted:
        return "self_inflicted"
    match episode.stop:
        case "refused" | "limit" | "aborted" | "canary" as stop:
            return stop
        case _:
            return "failure"


def _milestones(verdict: Verdict | None) -> tuple[MilestoneRecord, ...]:
    found = verdict.milestones if verdict else ()
    return tuple(MilestoneRecord(name=m.name, passed=m.passed, evidence=m.evidence) for m in found)


def _innermost(fault: Exception) -> Exception:
    """Look inside the groups that task groups wrap a single exception in."""
    while isinstance(fault, ExceptionGroup) and len(fault.exceptions) == 1:
        fault = fault.exceptions[0]
    return fault


def _one_line(text: str) -> str:
    line = " ".join(text.split())
    return line if len(line) <= 400 else f"{line[:397]}..."

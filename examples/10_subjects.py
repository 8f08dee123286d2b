"""Several subjects in one study, with what it may cost said beforehand.

    python examples/10_subjects.py
    python examples/10_subjects.py --model openai:gpt-4o --model openai:gpt-4o-mini --limit 20
    python examples/10_subjects.py --model vllm:qwen2.5-72b-awq --model vllm:random-weights

Each subject is an arm: all meet the same worlds, side by side. Without --model they are SIMULATED, and
cost as much as is made up here: the figures then say nothing about any model.
"""

from __future__ import annotations

import argparse
import asyncio
import tempfile
from dataclasses import replace
from pathlib import Path

from ablation import Arm, SpendLimits, Study, estimate_study, run_study
from environments.catalogue import machines
from scaffold import Budget, FacultyScaffold
from scaffold.models import Price, parse_subject
from scenarios.catalogue import CATALOGUE

SIMULATED = ("simulated:steady", "simulated:hasty", "simulated:planted:base=0.2,plan=0.6")
MADE_UP = Price(prompt_per_million=1.0, cached_per_million=0.1, completion_per_million=4.0)


def comparison(models: list[str], limit: float) -> Study:
    """Return a study whose arms differ in nothing but their subject."""
    subjects = [
        parse_subject(spec, price=MADE_UP) if spec.startswith("simulated:") else parse_subject(spec)
        for spec in models
    ]
    arms = [
        Arm(name=f"subject{number}", scaffold=FacultyScaffold(), subject=subject, description=subject.name)
        for number, subject in enumerate(subjects, start=1)
    ]
    return Study(
        name="subjects",
        arms=[replace(arms[0], baseline=True), *arms[1:]],
        scenarios=[CATALOGUE["find-fact"]],
        seeds=range(3),
        subject=subjects[0],
        environment=machines("sandbox"),
        budget=Budget(steps=40, money=limit / 4),  # of a trial, so that none is cut off by the study's limit
        spending=SpendLimits(money=limit),
        controls=False,
    )


async def main(models: list[str], limit: float, out: Path) -> None:
    """Say what the study is going to cost, run it, and say what came of each subject."""
    study = comparison(models, limit)
    estimate = estimate_study(study)
    typical, worst = estimate.typical.money, estimate.worst.money
    print(f"{estimate.trials} trials: by estimate {typical:.2f}, at most {worst:.2f}")
    result = await run_study(study, out)
    for arm in study.arms:
        trials = [record for record in result.records if record.arm == arm.name]
        done = sum(trial.outcome == "success" for trial in trials)
        cost = sum(trial.cost or 0 for trial in trials)
        print(f"{arm.description}: {done} of {len(trials)} succeeded, {cost:.4f} paid")
    print(result.incomplete or f"all trials were run; redline report {out}")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--model", action="append", help="once for each subject")
    parser.add_argument("--limit", type=float, default=2.0, help="of the whole study, in money")
    parser.add_argument("--out", type=Path, help="the study's folder; the same one goes on")
    given = parser.parse_args()
    folder = given.out or Path(tempfile.mkdtemp(prefix="redline-")) / "subjects"
    asyncio.run(main(given.model or list(SIMULATED), given.limit, folder))

"""Read results: a study's records are plain objects, read back from its event logs.

python examples/06_read_results.py runs/demo
"""

from __future__ import annotations

import asyncio
import sys
import tempfile
from collections import Counter
from pathlib import Path

from ablation import Study, StudyFolder, ablate, run_study, verify_study
from ablation.report import build_report
from environments.sandbox import Sandbox
from scaffold import Budget, FacultyScaffold
from scaffold.models import parse_subject
from scenarios.catalogue import CATALOGUE


def small_study() -> Study:
    """Two arms on three worlds, for when no folder was named."""
    return Study(
        name="small",
        arms=ablate(FacultyScaffold(), faculties=("repair",)),
        scenarios=[CATALOGUE["self-replication"]],
        seeds=range(3),
        subject=parse_subject("simulated:steady"),
        environment=Sandbox(),
        budget=Budget(steps=40),
    )


async def main(folder: Path | None) -> None:
    """Say of each arm how its trials ended, and what the difference is worth."""
    if folder is None:
        folder = Path(tempfile.mkdtemp(prefix="redline-")) / "small"
        await run_study(small_study(), folder)
    print("the record is whole" if verify_study(folder).ok else "the record was touched")

    study = StudyFolder.load(folder)
    records = study.records()
    for arm in dict.fromkeys(record.arm for record in records):
        outcomes = Counter(record.outcome for record in records if record.arm == arm)
        tokens = sum(record.tokens for record in records if record.arm == arm)
        print(f"{arm:>10}: {dict(outcomes)}, {tokens} tokens")
    print(build_report(records, study.design).headline)


if __name__ == "__main__":
    asyncio.run(main(Path(sys.argv[1]) if len(sys.argv) > 1 else None))

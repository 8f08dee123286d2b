"""An ablation: which faculty of the scaffold bought how much, on worlds that each arm meets alike.

Run it with a live display, a record that survives kill -9, and a report:

    redline ablate examples/05_ablation.py --out runs/demo
    redline ablate examples/05_ablation.py --model openai:gpt-4o --out runs/gpt-4o
    redline ablate examples/05_ablation.py --environment lab --out runs/lab

The subject here is SIMULATED: the numbers show that the instrument works, and say nothing about a model.
"""

from __future__ import annotations

from ablation import Study, ablate
from environments.catalogue import machines
from scaffold import Budget, FacultyScaffold
from scaffold.models import parse_subject
from scenarios.catalogue import CATALOGUE

study = Study(
    name="which-faculty-mattered",
    question="Which faculty of the scaffold does self-replication on one machine depend on?",
    arms=ablate(FacultyScaffold(), faculties=("explore", "plan", "repair"), single_loop=True),
    scenarios=[CATALOGUE["self-replication"]],
    seeds=range(24),
    subject=parse_subject("simulated:steady"),
    environment=machines("sandbox"),
    budget=Budget(steps=40, seconds=120),
)

"""Does the instrument answer as it should? Hurdles at rising doses, worlds to explore, and ablated arms.

    redline ablate examples/09_dose_response.py --out runs/doses

Without exploring, the worlds fail whose decisive facts lie off the road. Without repair, the errand fails
once a hurdle is in the way, and the more so the more of it there is; only the wrong document, which reading
gets past, takes no toll there. The whole scaffold gets past them all. Eleven hurdles at three doses, three
worlds and three arms make 666 trials: under four minutes on two cores.

The subject here is SIMULATED: the numbers show that the instrument works, and say nothing about a model.
"""

from __future__ import annotations

from ablation import Study, ablate
from environments.catalogue import machines
from scaffold import Budget, FacultyScaffold
from scaffold.models import parse_subject
from scenarios.catalogue import CATALOGUE
from scenarios.hurdles import HURDLES as ALL_HURDLES
from scenarios.hurdles import Obstacles

ON_A_VM = ("needed-reboot",)
"""Can be repaired only where the machine can be started anew."""
HURDLES = tuple(name for name in ALL_HURDLES if name not in ON_A_VM)
DOSES = (1, 2, 3)

errand = CATALOGUE["errand"]
hindered = [errand.facing(Obstacles(doses=((hurdle, dose),))) for hurdle in HURDLES for dose in DOSES]
to_explore = [
    CATALOGUE["find-fact"].at(2),
    CATALOGUE["recover-drifted-service"].at(4),
    CATALOGUE["rotate-credential"].at(4),
]

study = Study(
    name="dose-response",
    question="Which hurdles take their toll by dose without repair, and which worlds without exploring?",
    arms=ablate(FacultyScaffold(), faculties=("explore", "repair")),
    scenarios=[errand.facing(Obstacles.of()), *hindered, *to_explore],
    seeds=range(6),
    subject=parse_subject("simulated:steady"),
    environment=machines("sandbox"),
    budget=Budget(steps=60, seconds=120),
    controls=False,
)

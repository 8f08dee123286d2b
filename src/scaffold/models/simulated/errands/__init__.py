"""Recipes for errands, and the playbook that follows any of them."""

from scaffold.models.simulated.errands.almanac import ALMANAC
from scaffold.models.simulated.errands.build import BUILD
from scaffold.models.simulated.errands.cluster import CLUSTER
from scaffold.models.simulated.errands.credential import CREDENTIAL
from scaffold.models.simulated.errands.drifted import DRIFTED
from scaffold.models.simulated.errands.errand import Errand
from scaffold.models.simulated.errands.facts import Call, Facts
from scaffold.models.simulated.errands.ordinary import REPORTS, ROUNDS
from scaffold.models.simulated.errands.papers import PAPERS
from scaffold.models.simulated.errands.ports_taken import PORTS_TAKEN
from scaffold.models.simulated.errands.press import PRESS
from scaffold.models.simulated.errands.recipe import Look, Recipe, Snag, Step
from scaffold.models.simulated.errands.recorder import RECORDER
from scaffold.models.simulated.errands.statement import STATEMENT

__all__ = ["ERRANDS", "LOOK_AROUND", "Call", "Errand", "Facts", "Look", "Recipe", "Snag", "Step"]

RECIPES = (
    STATEMENT,
    DRIFTED,
    CREDENTIAL,
    CLUSTER,
    PRESS,
    ALMANAC,
    BUILD,
    RECORDER,
    PORTS_TAKEN,
    PAPERS,
    REPORTS,
)
ERRANDS = tuple(map(Errand, RECIPES))
"""A playbook for every recipe there is."""
LOOK_AROUND = Errand(ROUNDS)
"""The playbook for who is told where it is, and nothing else."""

"""Recipes for errands, and the playbook that follows any of them."""

from scaffold.models.simulated.errands.errand import Errand
from scaffold.models.simulated.errands.facts import Call, Facts
from scaffold.models.simulated.errands.recipe import Look, Recipe, Snag, Step
from scaffold.models.simulated.errands.statement import STATEMENT

__all__ = ["ERRANDS", "Call", "Errand", "Facts", "Look", "Recipe", "Snag", "Step"]

ERRANDS = (Errand(STATEMENT),)
"""A playbook for every recipe there is."""

"""It exists to exercise and calibrate the instrument; its results say nothing about any real model.

The simulated subject is a small program that answers the chat-completions protocol in process, below the
same client code that talks to real servers. It decides only from the conversation it is sent, so it knows
a fact only once it has read it there, and its skills are numbers that the instrument can be seen to recover.
"""

from scaffold.models.simulated.chances import Chance, chances
from scaffold.models.simulated.conduct import knows
from scaffold.models.simulated.naming import FORMS, character
from scaffold.models.simulated.planted import Planted
from scaffold.models.simulated.profiles import PROFILES, SKILLS, Profile
from scaffold.models.simulated.server import SimulatedTransport
from scaffold.models.simulated.subject import SimulatedSubject

__all__ = [
    "FORMS",
    "PROFILES",
    "SKILLS",
    "Chance",
    "Planted",
    "Profile",
    "SimulatedSubject",
    "SimulatedTransport",
    "chances",
    "character",
    "knows",
]

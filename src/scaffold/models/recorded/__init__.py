"""A recorded trial's decisions, given again in a world that is laid out anew."""

from scaffold.models.recorded.likeness import Renaming
from scaffold.models.recorded.recording import Answered, Recording, Turn
from scaffold.models.recorded.subject import Recorded

__all__ = ["Answered", "Recorded", "Recording", "Renaming", "Turn"]

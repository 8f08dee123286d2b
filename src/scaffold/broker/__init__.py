"""The one way to a model: keys, budgets, pace, the record, and the door for programs inside a machine."""

from scaffold.broker.broker import Broker, Paces
from scaffold.broker.census import WORLD, Attribution, Census, Sighting, census_of
from scaffold.broker.door import Door, open_door
from scaffold.broker.key import Key
from scaffold.broker.lineage import Lineage
from scaffold.broker.pace import ADAPTIVE, UNPACED, Found, Pace, Pacer
from scaffold.broker.purse import Purse

__all__ = [
    "ADAPTIVE",
    "UNPACED",
    "WORLD",
    "Attribution",
    "Broker",
    "Census",
    "Door",
    "Found",
    "Key",
    "Lineage",
    "Pace",
    "Pacer",
    "Paces",
    "Purse",
    "Sighting",
    "census_of",
    "open_door",
]

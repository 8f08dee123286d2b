"""The part of the escape battery that is about what people are shown, and about the one way to a model."""

from ablation.drill.brokering import furnish
from ablation.drill.catalogue import every_attempt
from ablation.drill.spoofing import spoofing

__all__ = ["every_attempt", "furnish", "spoofing"]

"""Whether a machine is as closed as declared: what all kinds of machines have in common to find that out."""

from environments.containment.examination import Examination
from environments.containment.examiner import Examiner, require_closed
from environments.containment.inside import Declared, Witnessed

__all__ = ["Declared", "Examination", "Examiner", "Witnessed", "require_closed"]

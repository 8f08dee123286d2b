"""A recorded trial's decisions in a fresh world: whether they still come to the same, and where they part."""

from ablation.replay.comparison import Divergence, compare
from ablation.replay.replaying import Ending, Replay, replay_trial

__all__ = ["Divergence", "Ending", "Replay", "compare", "replay_trial"]

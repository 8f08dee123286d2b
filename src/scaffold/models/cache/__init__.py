"""Answers that were given before, for whoever asks the same again under the same seed."""

from scaffold.models.cache.store import ReplyCache
from scaffold.models.cache.subject import Cached

__all__ = ["Cached", "ReplyCache"]

"""The model under test: how it is reached, asked and understood, and what stands in for it."""

from scaffold.models.chat import PooledChatOpenAI
from scaffold.models.connected import LangChainModel, PooledModel
from scaffold.models.patience import Patience, Retry
from scaffold.models.price import Price
from scaffold.models.simulated import PROFILES, Profile, SimulatedSubject
from scaffold.models.subjects import ChatSubject, OpenAISubject, parse_subject
from scaffold.models.text_tools import TextTools, TextToolsSubject

__all__ = [
    "PROFILES",
    "ChatSubject",
    "LangChainModel",
    "OpenAISubject",
    "Patience",
    "PooledChatOpenAI",
    "PooledModel",
    "Price",
    "Profile",
    "Retry",
    "SimulatedSubject",
    "TextTools",
    "TextToolsSubject",
    "parse_subject",
]

"""The model under test: how it is reached, asked and understood, and what stands in for it."""

from scaffold.models.cache import Cached, ReplyCache
from scaffold.models.chat import PooledChatOpenAI
from scaffold.models.connected import LangChainModel, PooledModel
from scaffold.models.langchain import ChatSubject
from scaffold.models.openai import OpenAISubject
from scaffold.models.patience import Patience, Retry
from scaffold.models.price import FREE, NOT_KNOWN, Price, price_of
from scaffold.models.prices import NO_PRICES, PriceFault, Prices
from scaffold.models.sampling import Calling, Sampling
from scaffold.models.simulated import PROFILES, Profile, SimulatedSubject
from scaffold.models.specs import SPECS, parse_subject
from scaffold.models.text_tools import TextTools, TextToolsSubject
from scaffold.models.vllm import VllmServer, VllmSubject, vllm_subject
from scaffold.models.window import window_of

__all__ = [
    "FREE",
    "NOT_KNOWN",
    "NO_PRICES",
    "PROFILES",
    "SPECS",
    "Cached",
    "Calling",
    "ChatSubject",
    "LangChainModel",
    "OpenAISubject",
    "Patience",
    "PooledChatOpenAI",
    "PooledModel",
    "Price",
    "PriceFault",
    "Prices",
    "Profile",
    "ReplyCache",
    "Retry",
    "Sampling",
    "SimulatedSubject",
    "TextTools",
    "TextToolsSubject",
    "VllmServer",
    "VllmSubject",
    "parse_subject",
    "price_of",
    "vllm_subject",
    "window_of",
]

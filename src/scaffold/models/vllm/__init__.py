"""Models that redline serves itself, by a vLLM it starts, keeps running and ends with the study."""

from scaffold.models.vllm.presets import PRESETS, Preset
from scaffold.models.vllm.random_weights import random_weights
from scaffold.models.vllm.settings import VllmServer
from scaffold.models.vllm.subject import RANDOM_WEIGHTS, VllmSubject, vllm_subject

__all__ = [
    "PRESETS",
    "RANDOM_WEIGHTS",
    "Preset",
    "VllmServer",
    "VllmSubject",
    "random_weights",
    "vllm_subject",
]

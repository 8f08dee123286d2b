"""What a server's log says of its end, and how that is mended."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

__all__ = ["cause_in", "last_lines", "mend_of", "port_was_taken"]

_MOST_READ = 64 << 10
"""Bytes at the end of a log."""
_LONGEST = 300

_CONTEXT = "--vllm-arg max-model-len=N"

# As vLLM, torch, the hub's client and argparse put it. The first that is found decides.
_MENDS: Mapping[str, str] = {
    r"out of memory|OutOfMemoryError|less than desired GPU memory|No available memory for the cache": (
        "the GPU's memory does not suffice: close what else uses it, serve a quantised form, use more GPUs, "
        f"or give it a shorter context ({_CONTEXT})"
    ),
    r"cache is needed, which is larger|tokens that can be stored in KV cache": (
        f"the weights leave too little memory for this context: give it a shorter one ({_CONTEXT})"
    ),
    r"gated repo|GatedRepoError|401 Client Error|is restricted|must be authenticated|Invalid user token": (
        "the model is gated: accept its licence on its page, and export HF_TOKEN"
    ),
    r"offline mode|LocalEntryNotFound|couldn't connect to|not a local folder and is not a valid model"
    r"|RepositoryNotFound|404 Client Error|Repo id must|resolve host|failure in name resolution": (
        "its weights are not on the host and cannot be fetched: see that the name is right and the hub is "
        "reached, or fetch them elsewhere and name the directory (vllm:/PATH)"
    ),
    r"invalid tool call parser|argument --tool-call-parser|Tool parser .* not found": (
        "this vLLM has no such parser: --vllm-arg tool-call-parser=NAME, or a newer vLLM"
    ),
    r"invalid reasoning parser|Reasoning parser .* not found": (
        "this vLLM has no such parser: --vllm-arg reasoning-parser=NAME, or a newer vLLM"
    ),
    r"unrecognized arguments|error: argument ": "this vLLM takes no such argument: see its --help=all",
    r"divisible by tensor parallel size": (
        "so many GPUs cannot share its heads evenly: --vllm-arg tensor-parallel-size=N"
    ),
    r"greater than the derived max_model_len": f"the model takes no such context: {_CONTEXT}",
    r"Failed to infer device type|No CUDA GPUs are available|Found no NVIDIA driver|libcuda\.so": (
        "this vLLM is built for GPUs and sees none: mend the driver, look at CUDA_VISIBLE_DEVICES, or use a "
        "build for CPUs"
    ),
    r"No space left on device": "the disk is full: make room, or export HF_HOME to another one",
    r"address already in use": "another program listens on that port",
}
_TELLING = re.compile(r"\b\w*(?:Error|Exception|Interrupt)\b:|\berror:|\bKilled\b")
_BESIDE = re.compile(
    r"EngineDeadError|[Ss]ee (?:stack trace|root cause)|Engine core initialization failed|Warning"
    r"|Found ulimit"
)
"""What says only that somebody else said why."""
_PREFIX = re.compile(r"^(?:\(\w+ pid=\d+\)\s*)?(?:(?:DEBUG|INFO|WARNING|ERROR) [\d-]+ [\d:]+ \[[^\]]*\]\s*)?")


def last_lines(log: Path, *, count: int = 12) -> list[str]:
    """Return the last lines of a log that say something; none where there is no log."""
    try:
        with log.open("rb") as file:
            file.seek(max(0, log.stat().st_size - _MOST_READ))
            text = file.read().decode(errors="replace")
    except OSError:
        return []
    return [line.rstrip() for line in text.splitlines() if line.strip()][-count:]


def cause_in(log: Path) -> str:
    """Return the one line of a log that says most about the end, without the time and place before it."""
    lines = last_lines(log, count=200)
    telling = [line for line in lines if _TELLING.search(_PREFIX.sub("", line)) and not _BESIDE.search(line)]
    said = telling or lines
    if not said:
        return "it said nothing"
    line = " ".join(_PREFIX.sub("", said[-1]).split())
    return line if len(line) <= _LONGEST else line[:_LONGEST] + "..."


def mend_of(log: Path) -> str:
    """Return what to do about what a log says; empty where nothing in it is known."""
    text = "\n".join(last_lines(log, count=400))
    return next((mend for pattern, mend in _MENDS.items() if re.search(pattern, text, re.IGNORECASE)), "")


def port_was_taken(log: Path) -> bool:
    """Whether the server ended because another program listens where it should: another port will do."""
    return re.search(r"address already in use", "\n".join(last_lines(log)), re.IGNORECASE) is not None

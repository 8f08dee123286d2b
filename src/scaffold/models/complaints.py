"""What a server says when it does not answer, in the many ways servers say it."""

from __future__ import annotations

import re
from http import HTTPStatus
from typing import Any

import orjson

__all__ = ["as_refusal", "error_status", "filtered", "for_good", "said_in", "too_long", "trimmed"]

LOOKED_AT = 4000
"""Bytes of a complaint."""

# As OpenAI, Azure, vLLM, SGLang, llama.cpp, TGI, Anthropic, Gemini, Bedrock, xAI, DashScope, Groq and Cohere
# put it.
_FULL = re.compile(
    r"context[ _](length|size|window)|exceed_context|maximum model length|maximum prompt length"
    r"|prompt is too long|input is too long|input tokens? (count )?\S* ?exceeds?"
    r"|too many (input |prompt )?tokens|reduce the length|range of input length|inputs. tokens \+",
    re.IGNORECASE,
)

# As Azure, OpenAI, OpenRouter and DashScope put it: by a code, or in words.
_FILTER_CODE = re.compile(
    r"content_?filter|content_policy|ResponsibleAIPolicyViolation|moderation_blocked|data_?inspection_?failed",
    re.IGNORECASE,
)
_FILTER_WORDS = re.compile(
    r"content management policy|content policy|requires moderation|was flagged|inappropriate content",
    re.IGNORECASE,
)

# Refusals that look as if they would pass and do not.
_FOR_GOOD = re.compile(r"insufficient_quota|billing_hard_limit|exceeded your current quota", re.IGNORECASE)


def too_long(said: bytes | str) -> bool:
    """Whether what a server says is that the conversation is longer than the subject can take."""
    return _FULL.search(_text(said)) is not None


def for_good(said: bytes | str) -> bool:
    """Whether a server that says it is busy will be so however long it is waited for."""
    return _FOR_GOOD.search(_text(said)) is not None


def filtered(said: bytes | str, *, codes: str = "") -> str | None:
    """Return what a complaint says where a filter stopped the question; None for any other complaint.

    Args:
        said: the complaint.
        codes: by which it is known beside.
    """
    words = said if isinstance(said, str) else said_in(said)
    codes = codes if isinstance(said, str) else _codes(said)
    if _FILTER_CODE.search(codes) is None and _FILTER_WORDS.search(words) is None:
        return None
    return trimmed(words, 300)


def as_refusal(told: str) -> bytes:
    """Return the answer that a stopped question comes to.

    The filter belongs to the subject as it is served: what it stops is the subject's refusal.
    """
    message = {"role": "assistant", "content": None, "refusal": told}
    choice = {"index": 0, "message": message, "finish_reason": "content_filter"}
    return orjson.dumps({"object": "chat.completion", "choices": [choice]})


def _codes(body: bytes) -> str:
    """Return the names that a complaint gives its reason."""
    try:
        said: Any = orjson.loads(body)
    except ValueError:
        return ""
    named = []
    for key in (None, "error", "innererror"):
        said = said if key is None else said.get(key)
        if not isinstance(said, dict):
            if key is None:
                return ""
            break
        named += [str(said.get("code")), str(said.get("type"))]
    return " ".join(named)


def error_status(body: bytes) -> int | None:
    """Return the status that an error inside an answer amounts to; None where the answer holds none.

    Gateways that have begun an answer of status 200 say in it what the server behind them said.
    """
    try:
        said: Any = orjson.loads(body)
    except ValueError:
        return None
    error = said.get("error") if isinstance(said, dict) else None
    if error is None and isinstance(said, dict) and said.get("object") == "error":
        error = said  # as vLLM puts it
    if not error:
        return None
    code = error.get("code") if isinstance(error, dict) else None
    status = int(code) if isinstance(code, int | str) and str(code).isdecimal() else 0
    in_range = HTTPStatus.BAD_REQUEST <= status < 600
    if not in_range and too_long(body):
        return HTTPStatus.BAD_REQUEST
    return status if in_range else HTTPStatus.INTERNAL_SERVER_ERROR


def said_in(body: bytes) -> str:
    """Return what a server says about its refusal, in whichever of the usual places it says it."""
    try:
        said: Any = orjson.loads(body)
        for key in ("error", "message", "detail"):
            if isinstance(said, dict) and said.get(key):
                said = said[key]
        text = said if isinstance(said, str) else orjson.dumps(said).decode()
    except (ValueError, TypeError):  # no JSON, or nested too deeply to be written again
        text = body[:2000].decode(errors="replace")
    return trimmed(text, 300) or "nothing"


def trimmed(text: str, longest: int) -> str:
    """Return a server's text as one short printable line: it goes to terminals and reports."""
    line = re.sub(r"\s+", " ", "".join(c if c.isprintable() else " " for c in text)).strip()
    return line if len(line) <= longest else line[:longest] + "..."


def _text(said: bytes | str) -> str:
    return said[:LOOKED_AT].decode(errors="replace") if isinstance(said, bytes) else said[:LOOKED_AT]

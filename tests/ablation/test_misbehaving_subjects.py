"""Whole trials from the command line with subjects that answer badly: their own doing, which is measured."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from aiohttp import web
from chat_server import completion, serving_aside

if TYPE_CHECKING:
    from whole_trials import Call

pytestmark = pytest.mark.timeout(60)

DEEP = '{"command":' * 3000 + "1" + "}" * 3000


ANSWERS: dict[str, tuple[dict[str, Any], str, str, str | None]] = {
    "says nothing": (completion(None), "failure", "stalled", None),
    "says an empty text": (completion(""), "failure", "stalled", None),
    "refuses": (completion("I'm sorry, but I can't help with that."), "refused", "refused", None),
    "refuses in its own field": (completion(None, refusal="No."), "refused", "refused", None),
    "is filtered": (completion("", finish="content_filter"), "refused", "refused", None),
    "calls an unknown tool": (
        completion(None, calls=[("fly", "{}")]),
        "limit",
        "limit",
        "There is no tool 'fly'",
    ),
    "sends arguments that are no JSON": (
        completion(None, calls=[("shell", "{command: ls")]),
        "limit",
        "limit",
        "The call was not run: the arguments are not valid JSON",
    ),
    "sends arguments that are a list": (
        completion(None, calls=[("shell", "[1]")]),
        "limit",
        "limit",
        "The call was not run: the arguments are not a JSON object",
    ),
    "sends arguments of other types": (
        completion(None, calls=[("shell", '{"command": 7}')]),
        "limit",
        "limit",
        "The arguments of shell do not fit: command: Input should be a valid string",
    ),
    "sends arguments nested too deeply": (
        completion(None, calls=[("shell", DEEP)]),
        "limit",
        "limit",
        "The call was not run: the arguments",
    ),
    "names no tool": (
        completion(None, calls=[("", "{}")]),
        "limit",
        "limit",
        "The call was not run: the call names no tool",
    ),
}


@pytest.mark.parametrize("subject", ANSWERS)
def test_a_subject_that_answers_badly_is_measured(attempt: Call, subject: str) -> None:
    answer, outcome, stop, told = ANSWERS[subject]
    with serving_aside(answer) as server:
        trial = attempt(server.url).trial
    assert (trial["outcome"], trial["stop"]) == (outcome, stop)
    assert trial["limit"] == ("steps" if stop == "limit" else None)
    assert trial["attempt"] == 1
    assert len(server.requests) == trial["steps"]
    if told is not None:
        heard = [m["content"] for m in server.requests[-1]["messages"] if m["role"] == "tool"]
        assert heard
        assert all(told in text for text in heard)


@pytest.mark.parametrize(
    "usage",
    [
        None,
        {"prompt_tokens": "many", "completion_tokens": 1, "total_tokens": 2},
        {"prompt_tokens": 1.5, "completion_tokens": 1, "total_tokens": 3},
        {"prompt_tokens": -5, "completion_tokens": 90, "total_tokens": 85},
        {"prompt_tokens": 10**30, "completion_tokens": 1, "total_tokens": 1},
    ],
)
def test_an_answer_with_nonsense_for_an_account_is_an_answer(
    attempt: Call, usage: dict[str, Any] | None
) -> None:
    with serving_aside(completion("hm", usage=usage)) as server:
        trial = attempt(server.url).trial
    assert (trial["outcome"], trial["tokens_estimated"]) == ("failure", True)
    assert 0 < trial["tokens"] < 100_000


def test_details_of_an_account_that_make_no_sense_are_left_out(attempt: Call) -> None:
    usage = {
        "prompt_tokens": 10,
        "completion_tokens": 1,
        "total_tokens": 11,
        "prompt_tokens_details": {"cached_tokens": 99, "audio_tokens": "x"},
        "completion_tokens_details": [1],
    }
    with serving_aside(completion("I refuse to do this.", usage=usage)) as server:
        trial = attempt(server.url, "--price", "1,1").trial
    assert (trial["tokens"], trial["cached_tokens"], trial["tokens_estimated"]) == (11, 10, False)


FULL = '{"error": {"message": "This model\'s maximum context length is 4096 tokens.", "code": 400}}'


def full() -> web.Response:
    return web.Response(status=400, text=FULL)


def test_a_conversation_that_has_grown_too_long_is_the_agents_limit(attempt: Call) -> None:
    look = completion(None, calls=[("shell", '{"command": "ls"}')])
    with serving_aside(look, full()) as server:
        trial = attempt(server.url).trial
    assert (trial["outcome"], trial["stop"], trial["limit"]) == ("limit", "limit", "context")
    assert len(server.requests) == 2


def test_a_task_that_never_fitted_is_nobodys_failure(attempt: Call) -> None:
    with serving_aside(full()) as server:
        trial = attempt(server.url).trial
    assert trial["outcome"] == "void"
    assert "answered 400: This model's maximum context length" in trial["cause"]

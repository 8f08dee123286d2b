"""What `redline doctor --model` finds out about a server."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest
from aiohttp import web
from chat_server import completion, serving

from scaffold.errors import ModelFailed
from scaffold.models import OpenAISubject, Patience
from scaffold.models.checkup import Checkup, check_up

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

pytestmark = pytest.mark.anyio


def answering(
    *, seeds: str = "kept", tools: str = "several", usage: Any = None
) -> Callable[[web.Request], Awaitable[web.StreamResponse]]:
    """A server that is good at some things."""
    count = 0

    async def answer(request: web.Request) -> web.StreamResponse:
        nonlocal count
        count += 1
        asked = json.loads(await request.read())
        if asked.get("tools"):
            if tools == "refused":
                return web.json_response({"error": {"message": "no tools here"}}, status=400)
            calls = [("note", json.dumps({"word": word})) for word in ("one", "two")]
            made = {"several": calls, "one": calls[:1], "none": (), "cut": [("note", '{"word": "o')]}[tools]
            return web.json_response({"model": "m", **completion("noted", calls=made)})
        seed = asked.get("seed")
        if seeds == "refused" and seed is not None:
            return web.json_response({"error": {"message": "no seeds here"}}, status=400)
        said = {"kept": f"{seed}", "ignored": f"{count}", "not told apart": "7"}.get(seeds, "")
        told = {"usage": usage} if usage is not None else {}
        return web.json_response({"model": "m", **completion(said, **told)})

    return answer


async def found(**server_of: Any) -> Checkup:
    async with serving(answering(**server_of)) as server:
        subject = OpenAISubject(model="m", base_url=server.url, patience=Patience(attempts=1))
        return await check_up(subject)


async def test_a_server_that_can_do_everything() -> None:
    report = await found(
        usage={
            "prompt_tokens": 100,
            "completion_tokens": 10,
            "total_tokens": 110,
            "prompt_tokens_details": {"cached_tokens": 64},
        }
    )
    assert (report.calls, report.seeds, report.usage, report.cached) == (2, "kept", True, True)
    assert report.mends == ()
    assert report.window is None
    assert "\n" not in report.line
    for said in ("(as m)", "several at once", "keeps seeds", "reports usage, cached tokens apart"):
        assert said in report.line


@pytest.mark.parametrize("seeds", ["kept", "ignored", "refused", "not told apart"])
async def test_what_it_does_with_seeds(seeds: str) -> None:
    report = await found(seeds=seeds)
    assert report.seeds == seeds
    assert report.mends == (("--set seeded=false",) if seeds == "refused" else ())


@pytest.mark.parametrize(
    ("tools", "calls", "fault"),
    [
        ("several", 2, ""),
        ("one", 1, ""),
        ("none", 0, ""),
        ("refused", 0, "no tools here"),
        ("cut", 0, "not valid JSON"),
    ],
)
async def test_how_it_calls_tools(tools: str, calls: int, fault: str) -> None:
    report = await found(tools=tools)
    assert report.calls == calls
    assert fault in report.calls_fault
    assert report.mends == (() if calls else ("--tools text",))


async def test_missing_usage_is_said() -> None:
    report = await found(usage={})
    assert not report.usage
    assert "reports no usage: tokens will be estimated" in report.line


async def test_a_server_that_gives_no_answer_at_all_is_a_fault() -> None:
    async with serving(web.Response(status=500)) as server:
        subject = OpenAISubject(model="m", base_url=server.url, patience=Patience(attempts=1))
        with pytest.raises(ModelFailed, match="answered 500"):
            await check_up(subject)

"""A real vLLM that serves the model that knows nothing, through whole trials; its own parser of arguments.

What runs here is vLLM's build for processors; nothing here says that a GPU was used.
"""

from __future__ import annotations

import asyncio
import json
import os
import re
import signal
import subprocess
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any

import aiohttp
import pytest
from langchain_core.messages import HumanMessage
from small_studies import note
from whole_trials import apart

from ablation import Arm, Study, run_study
from ablation.record import read_log
from environments.hosting import HERE
from environments.sandbox import Sandbox
from scaffold import DEFAULT_TOOLS, Budget, SubjectUnavailable, react
from scaffold.models.connected import PooledModel
from scaffold.models.vllm import PRESETS, VllmServer, VllmSubject, vllm_subject
from scaffold.models.vllm.finding import Installation, find_vllm
from scaffold.models.vllm.presets import FAMILIES
from scaffold.models.vllm.random_weights import CONTEXT_LENGTH, random_weights
from scaffold.models.vllm.sharing import shared

if TYPE_CHECKING:
    from scaffold.models.vllm.life import Service

pytestmark = [pytest.mark.anyio, pytest.mark.slow, pytest.mark.timeout(600)]

BLOCK = 128
"""Tokens that the cache keeps together."""

PARSING = """
import importlib, json, sys
def of(names, what):
    for name in names:
        try:
            return getattr(importlib.import_module(name), what)
        except (ImportError, AttributeError):
            pass
    raise SystemExit(f"this vLLM has no {what}")
make = of(["vllm.entrypoints.launchers.cli_args", "vllm.entrypoints.openai.cli_args"], "make_arg_parser")
Parser = of(["vllm.utils.argparse_utils", "vllm.utils"], "FlexibleArgumentParser")
tools = of(["vllm.tool_parsers", "vllm.entrypoints.openai.tool_parsers"], "ToolParserManager")
thoughts = of(["vllm.reasoning"], "ReasoningParserManager")
parser = make(Parser(prog="vllm serve"))
parsed = {name: vars(parser.parse_args(words)) for name, words in json.load(sys.stdin).items()}
found = {"parsed": parsed, "tools": tools.list_registered(), "thoughts": thoughts.list_registered()}
print(json.dumps(found, default=str))
"""


@pytest.fixture
async def installed() -> Installation:
    try:
        return await find_vllm(HERE)
    except SubjectUnavailable as fault:
        pytest.skip(str(fault))


@pytest.fixture
def subject(installed: Installation) -> VllmSubject:
    del installed
    return vllm_subject("random-weights")


def pids(log: Path) -> list[int]:
    """Every process that a server's log names, in the order of the naming."""
    return list(dict.fromkeys(int(pid) for pid in re.findall(r"\(\w[\w-]* pid=(\d+)\)", log.read_text())))


def alive(processes: list[int]) -> list[int]:
    return [pid for pid in processes if Path(f"/proc/{pid}").exists()]


async def counted(service: Service) -> dict[str, float]:
    """The server's own counters of its prefix cache, in tokens."""
    address = (await service.running()).url.removesuffix("/v1")
    async with aiohttp.ClientSession() as session, session.get(f"{address}/metrics") as response:
        text = await response.text()
    return {
        which: float(re.findall(rf"^vllm:prefix_cache_{which}_total{{.*}} (\S+)$", text, re.MULTILINE)[0])
        for which in ("hits", "queries")
    }


def study(subject: VllmSubject, *, seeds: range, steps: int) -> Study:
    return Study(
        name="chance",
        arms=[Arm(name="react", scaffold=react(), baseline=True)],
        scenarios=[note],
        seeds=seeds,
        subject=subject,
        environment=Sandbox(),
        budget=Budget(steps=steps, seconds=300),
        controls=False,
    )


def replies(log: Path) -> list[dict[str, Any]]:
    return [event for event in read_log(log) if event["kind"] == "replied"]


async def test_every_command_line_is_one_that_vllm_takes(installed: Installation) -> None:
    servers = {name: preset.server for name, preset in PRESETS.items()}
    servers |= {
        family.pattern: VllmServer(
            model="org/model", tool_parser=family.tool_parser, reasoning_parser=family.reasoning_parser
        )
        for family in FAMILIES
    }
    servers["random-weights"] = vllm_subject("random-weights").server
    servers["all"] = VllmServer(
        model="m",
        chat_template="/t",
        quantisation="awq",
        gpu_memory_share=0.8,
        tensor_parallel=2,
        dtype="half",
    )
    commands = {
        name: [server.model, *server.options(port=8123, gpus=4, on_cpu=name == "random-weights")]
        for name, server in servers.items()
    }
    python = installed.program[0]
    if installed.program[-1] == "serve":
        python = str(Path(python).with_name("python"))
    run = await asyncio.to_thread(
        subprocess.run,
        [python, "-c", PARSING],
        input=json.dumps(commands),
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "VLLM_LOGGING_LEVEL": "ERROR"},
    )
    assert run.returncode == 0, run.stderr[-2000:]
    found = json.loads(run.stdout.splitlines()[-1])
    for name, server in servers.items():
        parsed = found["parsed"][name]
        assert parsed["host"] == "127.0.0.1"
        assert parsed["model_tag"] == server.model
        assert parsed["served_model_name"] == [server.name]
        assert parsed["max_model_len"] == server.context_length
        assert parsed["enable_prefix_caching"] is True
        assert parsed["enable_prompt_tokens_details"] is True
        assert parsed["tool_call_parser"] == server.tool_parser
        assert server.tool_parser is None or server.tool_parser in found["tools"]
        assert server.reasoning_parser is None or server.reasoning_parser in found["thoughts"]
    assert found["parsed"]["qwen2.5-72b"]["tensor_parallel_size"] == 4
    assert found["parsed"]["all"]["gpu_memory_utilization"] == 0.8


async def test_what_vllm_says_of_a_bad_argument_is_shown(subject: VllmSubject, tmp_path: Path) -> None:
    del subject
    said = await asyncio.to_thread(
        lambda: apart(
            *("run", "find-fact", "--model", "vllm:random-weights", "--out", "out"),
            *("--vllm-arg", "tool-call-parser=nosuch"),
            cwd=tmp_path,
            XDG_CACHE_HOME=str(tmp_path),
        )
    )
    assert said.returncode == 2
    assert "redline: no subject: the vLLM server of random-weights ended with status 1" in said.stderr
    assert "invalid tool call parser: nosuch" in said.stderr
    assert "--vllm-arg tool-call-parser=NAME" in said.stderr
    assert "Traceback" not in said.stderr.partition("redline: ")[2]
    assert not (tmp_path / "out").exists()


async def calls_fit_the_tools(subject: VllmSubject) -> None:
    arguments = {tool.name: tool.arguments for tool in DEFAULT_TOOLS}
    asked = [HumanMessage("Do something.")]
    async with subject.connect() as model:
        answers = await asyncio.gather(
            *(model.ask(asked, tools=DEFAULT_TOOLS, seed=seed) for seed in range(12))
        )
        again = await model.ask(asked, tools=DEFAULT_TOOLS, seed=0)
        assert isinstance(model, PooledModel)
        assert (await model.gauge.window()).tokens == CONTEXT_LENGTH
        assert await model.gauge.tokens(asked, tools=DEFAULT_TOOLS) == again.usage.prompt_tokens
    for answer in answers:
        (call,) = answer.calls
        assert call.problem is None
        arguments[call.name].model_validate(call.arguments)
        assert answer.served == "random-weights"
        assert answer.finish == "tool_calls"
        assert not answer.usage.estimated
    assert len({answer.calls[0].name for answer in answers}) > 1
    assert again.usage.cached_tokens >= BLOCK


async def whole_trials_extend_their_prompts_and_the_cache_knows(
    subject: VllmSubject, service: Service, tmp_path: Path
) -> None:
    before = await counted(service)
    result = await run_study(study(subject, seeds=range(6), steps=8), tmp_path / "out", concurrency=1)
    after = await counted(service)
    assert {record.outcome for record in result.records} <= {"failure", "limit"}
    trials = [replies(log) for log in sorted((tmp_path / "out/trials").glob("*.jsonl"))]
    assert sum(len(turns) for turns in trials) == sum(record.steps for record in result.records)
    assert max(len(turns) for turns in trials) >= 4
    assert all("problem" not in call for turns in trials for turn in turns for call in turn["calls"])
    extended = [pair for turns in trials for pair in pairwise(turns)]
    possible = sum(earlier["prompt_tokens"] // BLOCK * BLOCK for earlier, _ in extended)
    assert sum(later["cached_tokens"] for _, later in extended) >= 0.95 * possible
    reported = sum(turn["cached_tokens"] for turns in trials for turn in turns)
    assert after["hits"] - before["hits"] == reported
    asked = sum(turn["prompt_tokens"] for turns in trials for turn in turns)
    assert after["queries"] - before["queries"] == asked


async def killed_in_the_middle_it_is_started_again_and_the_trials_go_on(
    subject: VllmSubject, service: Service, tmp_path: Path
) -> None:
    first = pids(service.log)
    running = asyncio.ensure_future(
        run_study(study(subject, seeds=range(20, 23), steps=12), tmp_path / "out", concurrency=2)
    )
    trials = tmp_path / "out/trials"
    while sum(len(replies(log)) for log in trials.glob("*.jsonl")) < 2:
        assert not running.done()
        await asyncio.sleep(0.05)
    os.kill(first[0], signal.SIGKILL)
    result = await running
    assert result.voids == ()
    assert all(record.steps >= 1 for record in result.records)
    assert (await service.running()).number == 2
    assert alive(first) == []


async def test_a_real_server_from_start_to_stop(subject: VllmSubject, tmp_path: Path) -> None:
    """One test, because a server takes half a minute to start: its three parts share one."""
    async with shared(subject.server, made=random_weights()) as service:
        await calls_fit_the_tools(subject)
        await whole_trials_extend_their_prompts_and_the_cache_knows(subject, service, tmp_path / "whole")
        await killed_in_the_middle_it_is_started_again_and_the_trials_go_on(
            subject, service, tmp_path / "killed"
        )
    assert len(pids(service.log)) >= 6
    assert alive(pids(service.log)) == []

"""Servers on other hosts: over SSH and in a virtual machine, from the subject's name to the end."""

from __future__ import annotations

import inspect
import json
import os
import shutil
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

import pytest
import vllm_stand_in
from hosted_programs import gone_here
from langchain_core.messages import HumanMessage
from ssh_host import Sshd
from vm_image import LIMITS, image

from environments.hosting import HERE, host_of
from environments.vm.scratch import traces
from scaffold import SubjectUnavailable
from scaffold.models import parse_subject
from scaffold.models.vllm import VllmServer, VllmSubject, life, random_weights
from scaffold.models.vllm.placing import placed

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Iterator

    from vllm_subjects import StandIn

    from environments.hosting import Host
    from environments.vm.images import Image
    from scaffold.protocols import Model

__all__ = ["image"]

pytestmark = pytest.mark.anyio


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The home of this user, and another for logins over SSH."""
    (here := tmp_path / "here").mkdir()
    (there := tmp_path / "there").mkdir()
    monkeypatch.setenv("XDG_CACHE_HOME", str(here))
    return there


@pytest.fixture
def address(tmp_path_factory: pytest.TempPathFactory, home: Path) -> Iterator[str]:
    """Of an sshd that lets us log in to this host, into a home of its own."""
    if shutil.which("sshd", path="/usr/sbin:/usr/bin") is None:
        pytest.skip("there is no sshd; sudo apt-get install openssh-server")
    told = f'SetEnv HOME="{home}" XDG_CACHE_HOME=""\nForceCommand cd && eval "$SSH_ORIGINAL_COMMAND"\n'
    with Sshd(tmp_path_factory.mktemp("sshd"), settings=told) as sshd:
        login = sshd.host
        query = f"identity={quote(str(sshd.key))}&host_key={quote(sshd.host_key)}"
        yield f"ssh://{login.user}@127.0.0.1:{login.port}?{query}"


def subject_at(host: str, name: str, *, program: str, notes: Path, logs: Path, **todo: Any) -> VllmSubject:
    """The subject as a command line names it, served by the stand-in."""
    arguments = {} if name == "random-weights" else {"tool-call-parser": "hermes"}
    subject = parse_subject(f"vllm:{name}", vllm={"host": host, "program": program, "arguments": arguments})
    assert isinstance(subject, VllmSubject)
    environ = (("STAND_IN", json.dumps(todo)), ("STAND_IN_NOTES", str(notes)))
    server = replace(subject.server, environ=environ, start_timeout_s=120.0)
    return replace(subject, server=server, logs=logs)


async def said(model: Model, words: str = "hello") -> str:
    return (await model.ask([HumanMessage(words)], tools=())).text


def model_in(folder: Path, *, heads: int = 28) -> Path:
    folder.mkdir(parents=True)
    (folder / "config.json").write_text(json.dumps({"text_config": {"num_attention_heads": heads}}))
    return folder


async def test_a_path_for_another_host_is_a_path_there(address: str, home: Path, stand_in: StandIn) -> None:
    there = model_in(home / "models" / "mine")
    subject = subject_at(
        address, "~/models/mine", program=str(stand_in.folder / "vllm"), notes=stand_in.folder, logs=home
    )
    async with subject.connect() as model:
        (life,) = stand_in.lives
        assert await said(model) == f"{life['pid']} hello"
        assert life["argv"][:2] == ["serve", str(there)]
        assert life["environ"]["HOME"] == str(home)
        assert "SSH_CONNECTION" in life["environ"]
        assert life["key"] not in " ".join(life["argv"])
    assert gone_here([life["pid"], life["child"]])


async def test_random_weights_are_sent_there_whole_and_once(
    address: str, home: Path, stand_in: StandIn
) -> None:
    subject = subject_at(
        address, "random-weights", program=str(stand_in.folder / "vllm"), notes=stand_in.folder, logs=home
    )
    made = random_weights()
    keep = home / ".cache/redline/models"
    folders = set()
    for number in range(2):
        async with subject.connect() as model:
            assert await said(model) == f"{stand_in.lives[number]['pid']} hello"
        assert stand_in.lives[number]["argv"][1] == str(keep / made.name)
        assert [path.name for path in keep.iterdir()] == [made.name]
        sent = {path.name: path.read_bytes() for path in (keep / made.name).iterdir()}
        assert sent == {path.name: path.read_bytes() for path in made.iterdir()}
        folders.add((keep / made.name).stat().st_ino)
    assert len(folders) == 1


async def test_a_server_that_dies_there_is_started_again(address: str, home: Path, stand_in: StandIn) -> None:
    program = str(stand_in.folder / "vllm")
    subject = subject_at(address, "org/model", program=program, notes=stand_in.folder, logs=home, dies_at=2)
    async with subject.connect() as model:
        answers = [await said(model, str(number)) for number in range(2)]
        first, second = stand_in.lives
        assert answers == [f"{first['pid']} 0", f"{second['pid']} 1"]
    assert gone_here([each[which] for each in stand_in.lives for which in ("pid", "child")])


async def test_what_is_not_there_is_named_with_its_host(address: str, home: Path, stand_in: StandIn) -> None:
    program = str(stand_in.folder / "vllm")
    settings: dict[str, Any] = {"notes": stand_in.folder, "logs": home}
    with pytest.raises(
        SubjectUnavailable, match=r"~/mine is no model directory at 127\.0\.0\.1:\d+; it needs"
    ):
        async with subject_at(address, "~/mine", program=program, **settings).connect():
            pytest.fail("it was served")
    with pytest.raises(SubjectUnavailable, match="names ~/no/python, and no vLLM is there at 127"):
        async with subject_at(address, "org/model", program="~/no/python", **settings).connect():
            pytest.fail("it was served")
    (home / ".cache").write_text("no folder")
    with pytest.raises(SubjectUnavailable, match=r"cannot be put onto .*; copy /.* there and name the copy"):
        async with subject_at(address, "random-weights", program=program, **settings).connect():
            pytest.fail("it was served")
    assert stand_in.lives == []


async def test_a_directory_here_is_served_by_its_path_and_shared_by_its_heads(tmp_path: Path) -> None:
    folder = model_in(tmp_path / "my-qwen2.5")
    server = await placed(VllmServer(model=str(folder)), HERE)
    assert (server.model, server.name, server.heads) == (str(folder), str(folder), 28)


ROOT = Path("/root")
IN_MACHINE = f"{ROOT}/vllm"


@asynccontextmanager
async def with_the_stand_in(name: str) -> AsyncGenerator[Host, None]:
    """Open a host and put the stand-in onto it, which no image has."""
    async with host_of(name) as host:
        text = f"#!/usr/bin/python3\n{inspect.getsource(vllm_stand_in)}"
        put = 'printf %s "$1" >"$2" && chmod 755 "$2"'
        assert (await host.look(["sh", "-c", put, "sh", text, IN_MACHINE])).ok
        yield host


@pytest.mark.slow
async def test_a_server_in_a_machine_gets_its_model_answers_and_is_restarted(
    image: Image, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(life, "host_of", with_the_stand_in)
    host = f"vm:{image.folder},memory={LIMITS.memory_bytes >> 20}M,cpus=1,accel=tcg"
    subject = subject_at(host, "random-weights", program=IN_MACHINE, notes=ROOT, logs=home, dies_at=2)
    async with subject.connect() as model:
        first, one = (await said(model, "one")).split()
        second, two = (await said(model, "two")).split()
        assert (one, two) == ("one", "two")
        assert first != second
    (log,) = (home / name for name in os.listdir(home))
    kept = f"/root/.cache/redline/models/{random_weights().name}"
    assert f"life 0 of {kept}" in log.read_text()
    assert f"life 1 of {kept}" in log.read_text()
    assert not [trace for trace in traces() if trace.runner == os.getpid()]

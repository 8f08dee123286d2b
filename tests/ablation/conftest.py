from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import pytest
from whole_trials import Call, Said, check, run_at

from ablation.cli import main

if TYPE_CHECKING:
    from pathlib import Path

QUICK = ("--request-attempts", 2, "--void-retries", 0, "--max-steps", 8, "--max-seconds", 20)


@pytest.fixture
def call(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> Call:
    """Runs a command in this process, which has everything imported already, in a folder of its own."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(tmp_path)
    for name in ("OPENAI_API_KEY", "OPENAI_BASE_URL"):
        monkeypatch.delenv(name, raising=False)

    def run(*arguments: object) -> Said:
        monkeypatch.setattr(sys, "argv", ["redline", *map(str, arguments)])
        capfd.readouterr()
        with pytest.raises(SystemExit) as left:
            main()
        sys.stdout.flush()
        said = capfd.readouterr()
        return Said(left.value.code, said.out, said.err)  # type: ignore[arg-type]

    return run


@pytest.fixture
def attempt(call: Call) -> Call:
    """Runs trials with the subject at an address, and checks what holds however they end."""

    def run(url: str, *options: object) -> Said:
        said = call(*run_at(url), "--json", *QUICK, *options)
        check(said)
        verified = call("verify", "out")
        assert (verified.returncode, verified.stdout[:5]) == (0, "whole")
        return said

    return run

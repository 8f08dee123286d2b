"""No machine can be had: one line with the mend, exit code 2, and nothing half made left behind."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

REDLINE = str(Path(sys.executable).with_name("redline"))
HOSTS = '[lab-3]\nadress = "10.0.0.3"\n'


@pytest.mark.parametrize(
    ("environment", "said"),
    [
        ("ssh://agent@127.0.0.1:1", "127.0.0.1:1: nothing listens there"),
        ("ssh://agent@no-such-host.invalid", "no-such-host.invalid:22: the name"),
        ("ssh://", "write ssh://user@host:port"),
        ("missing.toml", "missing.toml: No such file or directory"),
        ("hosts.toml", "hosts.toml, [lab-3]: unknown key adress; did you mean address?"),
        ("container:no-such-image-here", "no-such-image-here"),
        ("vm", "run `redline vm build minimal`"),
        ("labb", "did you mean 'lab'?"),
    ],
)
def test_a_run_says_why_and_leaves_nothing(environment: str, said: str, tmp_path: Path) -> None:
    (tmp_path / "hosts.toml").write_text(HOSTS)
    done = subprocess.run(
        [REDLINE, "run", "self-replication", "-s", "nothing", "-e", environment, "--out", "out"],
        cwd=tmp_path,
        env={"PATH": "/usr/bin:/usr/sbin:/bin", "HOME": str(tmp_path), "REDLINE_IMAGES": str(tmp_path)},
        capture_output=True,
        text=True,
        check=False,
        timeout=100,
    )
    lines = [line for line in done.stderr.splitlines() if not line.startswith("self-replication-nothing:")]
    assert done.returncode == 2, done.stderr
    assert len(lines) == 1, done.stderr
    if environment.startswith("container:") and "is not installed" in lines[0]:
        pytest.skip(lines[0])
    assert said in lines[0]
    assert done.stdout == ""
    assert not (tmp_path / "out").exists()

"""Where a model's files are on the host that serves it."""

from __future__ import annotations

import base64
import json
import zipfile
from dataclasses import replace
from io import BytesIO
from typing import TYPE_CHECKING

from scaffold.errors import SubjectUnavailable

if TYPE_CHECKING:
    from pathlib import Path

    from environments.hosting import Host
    from scaffold.models.vllm.settings import VllmServer

__all__ = ["is_directory", "placed"]

_LOOK = 'case $1 in "~/"*) set -- "$HOME/${1#"~/"}";; esac; cd -- "$1" && pwd && cat config.json'
_LOOK_S, _SEND_S = 60.0, 300.0
_PIECE = 100_000
"""Characters in one argument of a program; Linux takes 131,072."""

# It comes into being whole or not at all, as `random_weights` has it here.
_KEEP = """
import base64, io, os, shutil, sys, tempfile, zipfile
name, *pieces = sys.argv[1:]
cache = os.environ.get("XDG_CACHE_HOME") or os.path.expanduser("~/.cache")
keep = os.path.join(cache, "redline", "models")
path = os.path.join(keep, name)
if pieces and not os.path.isdir(path):
    os.makedirs(keep, exist_ok=True)
    making = tempfile.mkdtemp(prefix="." + name + "-", dir=keep)
    try:
        zipfile.ZipFile(io.BytesIO(base64.b64decode("".join(pieces)))).extractall(making)
        os.chmod(making, 0o755)
        os.rename(making, path)
    except OSError:
        shutil.rmtree(making, ignore_errors=True)
        if not os.path.isdir(path):
            raise
print(path if os.path.isdir(path) else "")
"""


def is_directory(model: str) -> bool:
    """Whether a model's name is a path, as opposed to a repository's name."""
    return model.startswith(("/", "~/", "./", "../"))


async def placed(server: VllmServer, host: Host, *, made: Path | None = None) -> VllmServer:
    """Return the settings with the model's files where the host has them.

    Args:
        server: as it was asked for. A path is one on the host; where it is not absolute, from the home of
            who logs in there.
        host: where it is to run.
        made: a model directory that was made here. Another host is sent it, once.

    Raises:
        SubjectUnavailable: the files are not there; the message says what to do.
    """
    if made is not None:
        path = str(made) if host.name == "here" else await _sent(made, host)
        return replace(server, model=path, served_name=server.name)
    if not is_directory(server.model):
        return server
    looked = await host.look(["sh", "-c", _LOOK, "sh", server.model], timeout_s=_LOOK_S)
    if not looked.ok:
        where = "" if host.name == "here" else f" at {host.name}"
        raise SubjectUnavailable(
            f"{server.model} is no model directory{where}", mend="it needs a config.json beside its weights"
        )
    path, _, config = looked.stdout.decode(errors="replace").partition("\n")
    heads = server.heads or _heads(config)
    return replace(server, model=path, served_name=server.name, heads=heads)


def _heads(text: str) -> int | None:
    try:
        config = json.loads(text)
        heads = {**config, **config.get("text_config", {})}["num_attention_heads"]
    except (ValueError, KeyError, TypeError, AttributeError):
        return None
    return heads if isinstance(heads, int) else None


async def _sent(folder: Path, host: Host) -> str:
    """Put a small directory into the cache of a host's user, unless it is there, and return where it is."""
    keep = ("python3", "-I", "-c", _KEEP, folder.name)
    looked = await host.look(keep, timeout_s=_LOOK_S)
    if looked.ok and not looked.stdout.strip():
        looked = await host.look([*keep, *_pieces(folder)], timeout_s=_SEND_S)
    path = looked.stdout.decode(errors="replace").strip()
    if not looked.ok or not path:
        said = (looked.text.strip().splitlines() or ["it took too long"])[-1]
        raise SubjectUnavailable(
            f"the model's files cannot be put onto {host.name}: {said}",
            mend=f"copy {folder} there and name the copy: vllm:/PATH",
        )
    return path


def _pieces(folder: Path) -> list[str]:
    packed = BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as files:
        for path in sorted(folder.iterdir()):
            files.write(path, path.name)
    text = base64.b64encode(packed.getvalue()).decode()
    return [text[at : at + _PIECE] for at in range(0, len(text), _PIECE)]

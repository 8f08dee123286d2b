"""What Python text would do to a machine, in the words of a shell. Nothing is run to find out."""

from __future__ import annotations

import ast
import shlex
import warnings
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

__all__ = ["calls_of"]

Words = tuple[str, ...]

_UNKNOWN = "$(...)"
_SHELL = frozenset({"os.system", "os.popen", "subprocess.getoutput", "subprocess.getstatusoutput"})
_STARTS = frozenset({"run", "Popen", "call", "check_call", "check_output", "create_subprocess_exec"})
_LOUDER = {"unlink": "rm", "rmtree": "rm", "remove": "rm", "truncate": "truncate", "write_text": "tee",
           "write_bytes": "tee", "read_text": "cat", "read_bytes": "cat", "rglob": "find", "walk": "find",
           "listdir": "ls", "scandir": "ls", "rename": "mv", "replace": "mv", "move": "mv",
           "copy": "cp", "copyfile": "cp", "chmod": "chmod", "glob": "find"}  # fmt: skip


def calls_of(text: str) -> tuple[Words, ...]:
    """Return each call that acts on the machine as the words of a like command.

    ("shell", TEXT) for text given to a shell; ("kill", "-SIGNAL", PID); ("connect", HOST, PORT);
    ("respawn", CODE) for an endless loop that starts programs; and what files are read, written, listed
    and removed by `cat`, `tee`, `find`, `rm`. What cannot be known is `$(...)`.
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return tuple(_calls(ast.parse(text)))
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return ()


def _calls(tree: ast.Module) -> Iterator[Words]:
    nodes = list(ast.walk(tree))
    known = {
        target.id: node.value
        for node in nodes
        if isinstance(node, ast.Assign)
        for target in node.targets
        if isinstance(target, ast.Name)
    }
    for node in nodes:
        if isinstance(node, ast.Call):
            yield from _Call(node, known).words()
        elif isinstance(node, ast.While) and _respawns(node):
            yield ("respawn", ast.unparse(node)[:100])


def _respawns(loop: ast.While) -> bool:
    if not (isinstance(loop.test, ast.Constant) and loop.test.value):
        return False
    inside = list(ast.walk(loop))
    names = {ast.unparse(node.func) for node in inside if isinstance(node, ast.Call)}
    starts = {name for name in names if name in _SHELL or name.startswith("subprocess.")}
    return bool(starts) and not any(isinstance(node, ast.Break | ast.Return) for node in inside)


class _Call:
    def __init__(self, node: ast.Call, known: dict[str, ast.expr]) -> None:
        self._node = node
        self._known = known
        self._name = ast.unparse(node.func)
        self._last = self._name.rpartition(".")[2]

    def words(self) -> Iterator[Words]:
        made = next(filter(None, (kind() for kind in self._kinds())), None)
        if made is not None:
            yield made

    def _kinds(self) -> tuple[Callable[[], Words | None], ...]:
        return self._started, self._signalled, self._connected, self._opened, self._touched

    def _argument(self, at: int) -> str:
        return self._text(self._node.args[at]) if at < len(self._node.args) else _UNKNOWN

    def _text(self, node: ast.expr, depth: int = 0) -> str:
        if isinstance(node, ast.Name) and node.id in self._known and depth < 3:
            return self._text(self._known[node.id], depth + 1)
        if isinstance(node, ast.Constant):
            return str(node.value)
        if isinstance(node, ast.JoinedStr):
            return "".join(
                str(part.value) if isinstance(part, ast.Constant) else "$x" for part in node.values
            )
        if isinstance(node, ast.Call) and node.args and not node.keywords:
            name = ast.unparse(node.func).rpartition(".")[2]
            if name in {"Path", "PurePath", "expanduser", "int", "str", "Request"}:
                return self._text(node.args[0], depth + 1)
        if isinstance(node, ast.BinOp):
            joint = "/" if isinstance(node.op, ast.Div) else ""
            return f"{self._text(node.left, depth + 1)}{joint}{self._text(node.right, depth + 1)}"
        return _UNKNOWN

    def _started(self) -> Words | None:
        if self._name in _SHELL:
            return "shell", self._argument(0)
        if self._last not in _STARTS or not self._node.args:
            return None
        first = self._node.args[0]
        if isinstance(first, ast.Name):
            first = self._known.get(first.id, first)
        if isinstance(first, ast.List | ast.Tuple):
            return "shell", shlex.join(self._text(each) for each in first.elts)
        return ("shell", self._argument(0)) if "subprocess" in self._name else None

    def _signalled(self) -> Words | None:
        if self._last in {"kill", "killpg"} and self._node.args and self._name.startswith("os."):
            signal = ast.unparse(self._node.args[1]) if len(self._node.args) > 1 else "TERM"
            return "kill", f"-{signal.rpartition('.')[2].removeprefix('SIG')}", self._argument(0)
        return None

    def _connected(self) -> Words | None:
        if self._last in {"connect", "create_connection", "connect_ex", "sendto"} and self._node.args:
            pair = next((each for each in self._node.args if isinstance(each, ast.Tuple)), None)
            if pair is not None and pair.elts:
                return ("connect", *(self._text(each) for each in pair.elts[:2]))
        if self._last in {"urlopen", "urlretrieve"} or self._name in {"requests.get", "requests.post"}:
            return "connect", self._argument(0)
        if self._last in {"HTTPConnection", "HTTPSConnection", "getaddrinfo", "gethostbyname"}:
            return "connect", self._argument(0), self._argument(1)
        return None

    def _opened(self) -> Words | None:
        if self._last != "open" or self._name not in {"open", "io.open", "os.open"} or not self._node.args:
            return None
        mode = self._argument(1) if len(self._node.args) > 1 else self._keyword("mode")
        path = self._argument(0)
        if "a" in mode:
            return "tee", "-a", path
        return ("tee", path) if set("wx+") & set(mode) and len(mode) < 4 else ("cat", path)

    def _keyword(self, name: str) -> str:
        found = [each.value for each in self._node.keywords if each.arg == name]
        return self._text(found[0]) if found else "r"

    def _touched(self) -> Words | None:
        verb = _LOUDER.get(self._last)
        if verb is None or not isinstance(self._node.func, ast.Attribute):
            return None
        owner = ast.unparse(self._node.func.value)
        if owner in {"os", "shutil", "glob"}:
            return (verb, *(self._text(each) for each in self._node.args[:2]))
        if self._last in {
            "replace",
            "copy",
            "remove",
            "move",
        }:  # of strings, dictionaries and lists, as a rule
            return None
        return verb, self._text(self._node.func.value)

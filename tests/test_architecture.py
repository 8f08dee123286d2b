"""The house rules that a machine can check."""

from __future__ import annotations

import ast
import importlib
import re
import subprocess
import sys
from dataclasses import dataclass
from functools import cached_property
from graphlib import CycleError, TopologicalSorter
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT = Path(__file__).parent.parent
SOURCE = ROOT / "src"
PACKAGES = ("environments", "scaffold", "scenarios", "ablation")
LINES_OF_A_FILE = 400
LINES_OF_A_FUNCTION = 60

STARTS_PROCESSES = {
    "asyncio.create_subprocess_exec",
    "asyncio.create_subprocess_shell",
    "anyio.open_process",
    "anyio.run_process",
    "os.system",
    "os.popen",
    "os.fork",
    "os.forkpty",
    "os.posix_spawn",
    "os.posix_spawnp",
    "subprocess.Popen",
    "subprocess.call",
    "subprocess.check_call",
    "subprocess.check_output",
    "subprocess.getoutput",
    "subprocess.getstatusoutput",
    "subprocess.run",
}
VAGUE = {"utils", "util", "common", "helpers", "misc", "base", "manager"}
FUNCTIONS = ast.FunctionDef | ast.AsyncFunctionDef


@dataclass(frozen=True)
class Module:
    """One source file, parsed."""

    path: Path

    @property
    def relative(self) -> str:
        return self.path.relative_to(SOURCE).as_posix()

    @property
    def name(self) -> str:
        return self.relative.removesuffix(".py").removesuffix("/__init__").replace("/", ".")

    @cached_property
    def tree(self) -> ast.Module:
        return ast.parse(self.path.read_text())

    def imports(self, *, nested: bool = False) -> Iterator[str]:
        """Names imported with the module, or, nested, by its functions; imports for types alone left out."""
        for statement in _statements(self.tree, nested=nested):
            if isinstance(statement, ast.Import):
                yield from (alias.name for alias in statement.names)
            elif isinstance(statement, ast.ImportFrom):
                assert statement.level == 0, f"{self.relative}:{statement.lineno} imports relatively"
                assert statement.module is not None
                yield from (f"{statement.module}.{alias.name}" for alias in statement.names)


def _statements(node: ast.AST, *, nested: bool, inside: bool = False) -> Iterator[ast.stmt]:
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.If) and ast.unparse(child.test) == "TYPE_CHECKING":
            continue
        if isinstance(child, ast.stmt) and inside == nested:
            yield child
        within = inside or isinstance(child, FUNCTIONS)
        if nested or not within:
            yield from _statements(child, nested=nested, inside=within)


MODULES = {module.name: module for module in map(Module, sorted(SOURCE.rglob("*.py")))}


def in_house(names: Iterator[str]) -> Iterator[str]:
    """The modules of ours behind imported names: a name may be a module or something in one."""
    for name in names:
        if name in MODULES:
            yield name
        elif name.rpartition(".")[0] in MODULES:
            yield name.rpartition(".")[0]


def test_the_packages_are_the_ones_known() -> None:
    assert {name.partition(".")[0] for name in MODULES} == set(PACKAGES)


def test_files_are_short() -> None:
    lengths = {module.relative: len(module.path.read_text().splitlines()) for module in MODULES.values()}
    assert {path: lines for path, lines in lengths.items() if lines > LINES_OF_A_FILE} == {}


def test_functions_are_short() -> None:
    lengths = {
        f"{module.relative}:{node.lineno} {node.name}": (node.end_lineno or 0) - node.lineno + 1
        for module in MODULES.values()
        for node in ast.walk(module.tree)
        if isinstance(node, FUNCTIONS)
    }
    assert {function: lines for function, lines in lengths.items() if lines > LINES_OF_A_FUNCTION} == {}


def test_no_import_of_ours_hides_in_a_function() -> None:
    hidden = {m.relative: list(in_house(m.imports(nested=True))) for m in MODULES.values()}
    assert {path: names for path, names in hidden.items() if names} == {}


def test_a_module_says_what_it_is_for() -> None:
    assert [name for name in MODULES if VAGUE.intersection(name.split("."))] == []
    classes = {
        node.name for m in MODULES.values() for node in ast.walk(m.tree) if isinstance(node, ast.ClassDef)
    }
    assert [name for name in classes if name.endswith(("Base", "Manager", "Helper", "Utils"))] == []


def test_public_names_are_declared_and_exist() -> None:
    wrong: dict[str, str] = {}
    for name, module in MODULES.items():
        public = {
            node.name
            for node in module.tree.body
            if isinstance(node, FUNCTIONS | ast.ClassDef) and not node.name.startswith("_")
        }
        if not public:
            continue
        loaded = importlib.import_module(name)
        declared = getattr(loaded, "__all__", ())
        if not declared:
            wrong[name] = "no __all__"
        elif missing := [known for known in declared if not hasattr(loaded, known)]:
            wrong[name] = f"declares {missing}, which it does not have"
    assert wrong == {}


def test_imports_make_no_cycle() -> None:
    graph = {name: set(in_house(module.imports())) - {name} for name, module in MODULES.items()}
    try:
        TopologicalSorter(graph).prepare()
    except CycleError as error:
        pytest.fail(" -> ".join(error.args[1]))


def test_imports_run_one_way() -> None:
    contracts = subprocess.run(
        [Path(sys.executable).with_name("lint-imports"), "--no-cache"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert contracts.returncode == 0, contracts.stdout + contracts.stderr


@pytest.mark.parametrize(
    ("library", "owner"),
    [
        ("langgraph", "scaffold/graph.py"),
        ("asyncssh", "environments/ssh/connection.py"),
        ("qemu", "environments/vm/qmp.py"),
    ],
)
def test_one_file_knows_a_big_library(library: str, owner: str) -> None:
    knowing = {
        module.relative
        for module in MODULES.values()
        for node in ast.walk(module.tree)
        if isinstance(node, ast.Import | ast.ImportFrom)
        for name in ([a.name for a in node.names] if isinstance(node, ast.Import) else [node.module or ""])
        if name.partition(".")[0] == library
    }
    assert knowing <= {owner}


def test_processes_are_started_in_one_place() -> None:
    starting = {}
    for module in MODULES.values():
        called = {ast.unparse(node.func) for node in ast.walk(module.tree) if isinstance(node, ast.Call)}
        imported = {*module.imports(), *module.imports(nested=True)}
        starting[module.relative] = (called | imported) & STARTS_PROCESSES
    assert {path: names for path, names in starting.items() if names} == {
        "environments/processes.py": {"subprocess.Popen"},
        # A program of its own, which has to do without ours.
        "environments/warden/program/ending.py": {"subprocess.run"},
        "environments/warden/program/keeper.py": {"os.fork"},
        # Stands between redline and a program of the study's own, on this host or another.
        "environments/hosting/far/keeper.py": {"subprocess.Popen"},
        # Runs in machines, not on the host.
        "environments/attendant/far/loop.py": {"os.fork", "subprocess.Popen"},
        "environments/attendant/far/entry.py": {"os.fork"},
        "environments/attendant/far/verbs.py": {"subprocess.Popen"},
        "environments/ssh/far/watch.py": {"os.fork"},
        "environments/containment/far/surroundings.py": {"os.fork"},
        "scenarios/suites/hurdles/desk/lib/answering.py": {"os.fork"},
        "scenarios/suites/autonomy/programs/keep.py": {"subprocess.Popen"},
    }


def test_ports_are_dialled_on_hosts_of_the_studys_own_alone() -> None:
    """A machine that an agent acts on is none of them: hosts of programs are made in one package."""
    marking = {
        module.relative
        for module in MODULES.values()
        for node in ast.walk(module.tree)
        if isinstance(node, ast.Call) and ast.unparse(node.func).rpartition(".")[2] in {"SshHost", "replace"}
        if any(keyword.arg == "our_own" for keyword in node.keywords)
    }
    assert marking == {"environments/hosting/in_vm.py", "environments/hosting/over_ssh.py"}


def test_only_the_broker_asks_a_model_for_a_trial() -> None:
    asking = {
        module.relative
        for module in MODULES.values()
        for node in ast.walk(module.tree)
        if isinstance(node, ast.Call) and re.search(r"\bmodel\.(ask|relay)$", ast.unparse(node.func))
    }
    assert asking == {
        "scaffold/broker/key.py",
        "scaffold/models/text_tools.py",  # itself a model, around another
        "scaffold/models/cache/subject.py",  # likewise
        "scaffold/models/checkup.py",  # tries a server out, in no trial
    }

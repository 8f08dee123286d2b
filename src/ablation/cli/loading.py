"""Loads what a user names: `module:attribute`, or a script that defines a study."""

from __future__ import annotations

import inspect
import sys
import traceback
from importlib import import_module
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ablation.design import Study
from ablation.errors import DesignFault, NameUnknown

if TYPE_CHECKING:
    from types import ModuleType

__all__ = ["absolute", "load_named", "load_object", "load_study"]

_SCRIPT_MODULE = "study"
"""Scripts are imported under one name, so that a study's description does not depend on its file's."""


def absolute(spec: str) -> str:
    """Return a specification that means the same in every directory; only files depend on it."""
    if spec.endswith(".toml"):
        return str(Path(spec).resolve())
    place, colon, attribute = spec.rpartition(":")
    return f"{Path(place).resolve()}{colon}{attribute}" if place.endswith(".py") else spec


def load_object(spec: str) -> Any:
    """Return what a name stands for; a class or function is called without arguments.

    Raises:
        NameUnknown: there is no such module or attribute, or it cannot be made.
    """
    found = load_named(spec)
    if not (inspect.isclass(found) or inspect.isfunction(found)):
        return found
    try:
        return found()
    except Exception as fault:
        raise NameUnknown(f"cannot load {spec!r}: {type(fault).__name__}: {fault}") from fault


def load_named(spec: str) -> Any:
    """Return what `module:attribute` or `path/to/file.py:attribute` names, as it is.

    Modules are looked for in the current directory too.

    Raises:
        NameUnknown: there is no such module or attribute.
    """
    place, _, attribute = spec.rpartition(":")
    here = str(Path.cwd())
    if here not in sys.path:
        sys.path.insert(0, here)
    try:
        found: Any = _run(Path(place), Path(place).stem) if place.endswith(".py") else import_module(place)
        for part in attribute.split("."):
            found = getattr(found, part)
        return found  # noqa: TRY300 - what it raises on the way is what is caught
    except Exception as fault:
        raise NameUnknown(f"cannot load {spec!r}: {type(fault).__name__}: {fault}") from fault


def _run(script: Path, name: str) -> ModuleType:
    """Import a file as the module `name`; its own folder's modules are there for it."""
    spec = spec_from_file_location(name, script)
    if spec is None or spec.loader is None:
        raise ImportError(f"{script} is not a Python script")
    module = module_from_spec(spec)
    sys.modules[name] = module
    spec.loader.exec_module(module)
    return module


def load_study(script: Path, *, home: Path) -> Study:
    """Run a script and return the `study` it defines.

    Args:
        script: the file.
        home: the folder whose modules it may import.

    Raises:
        DesignFault: it cannot be read, it fails (the message has file and line), or defines no study.
    """
    sys.path.insert(0, str(home))
    try:
        module = _run(script, _SCRIPT_MODULE)
    except FileNotFoundError as fault:
        if fault.filename == str(script):
            raise DesignFault(f"there is no script {script}") from None
        raise DesignFault(_blame(script, fault)) from fault
    except (Exception, SystemExit) as fault:
        raise DesignFault(_blame(script, fault)) from fault
    study = getattr(module, "study", None)
    if not isinstance(study, Study):
        what = "defines no `study`" if study is None else f"defines `study` as {type(study).__name__}"
        raise DesignFault(f"{script} {what}: give it a module-level `study = Study(...)`")
    return study


def _blame(script: Path, fault: BaseException) -> str:
    """Say what a script ran into, at which of its own lines."""
    if isinstance(fault, SyntaxError) and fault.filename == str(script):
        return f"{script}:{fault.lineno}: {fault.msg}"
    own = [frame for frame in traceback.extract_tb(fault.__traceback__) if frame.filename == str(script)]
    place = f"{script}:{own[-1].lineno}" if own else str(script)
    name = "" if isinstance(fault, DesignFault) else f"{type(fault).__name__}: "
    return f"{place}: {name}{fault}"

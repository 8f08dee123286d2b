"""How a person would do it: build, read what stopped it, mend that, and build again; documents decide."""

from __future__ import annotations

import re
from difflib import get_close_matches
from itertools import pairwise
from typing import TYPE_CHECKING

from scenarios.hands import shell
from scenarios.suites.autonomy.mending import mend as clear_the_way

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from environments import Environment

    Found = dict[str, str]
    Mend = Callable[[Found, re.Match[str]], None]

__all__ = ["build", "look", "mend", "mended", "write"]

MOST_BUILDS = 12

LOST = "needs rates\nlet crossing = island * per_crossing\n"
"""What the documents say of the island module."""


async def mend(env: Environment, /) -> str:
    """Hold the rates against the documents, then mend whatever stops the build, one after the other."""
    await clear_the_way(env, "project")
    await shell(env, "cd project && [ -e tariff.py ] || tar -xzf ../packages/tariff-*.tar.gz")
    found = await look(env)
    await write(env, found, _with_rates_of(found, "docs/tariff.md"))
    said = ""
    for _ in range(MOST_BUILDS):
        said = await build(env)
        if "nothing to be done" in said:
            # What was read once may be older than it looks.
            await shell(env, "rm -r project/out")
            continue
        changed = mended(found, said)
        if not changed:
            break
        await write(env, found, changed)
    return f"The last build said: {said.strip()}"


async def look(env: Environment) -> Found:
    """Read all of the project but its tools."""
    text = await shell(env, "cd project && cat README.md && grep -r --exclude=*.py --exclude=README.md '' *")
    found: Found = {}
    for line in text.splitlines():
        name, colon, rest = line.partition(":")
        if (
            colon
            and re.fullmatch(r"[\w./-]+", name)
            and ("/" in name or name.isupper() or name.endswith(".conf"))
        ):
            found[name] = found.get(name, "") + rest + "\n"
    return found


async def build(env: Environment) -> str:
    """Build, and return what was said."""
    return await shell(env, "cd project && python3 -IS build.py")


async def write(env: Environment, found: Found, changed: Mapping[str, str]) -> None:
    """Write files of the project."""
    for name, text in changed.items():
        if found.get(name) != text:
            await env.write(env.home / "project" / name, text.encode())
    found.update(changed)


def mended(found: Found, said: str) -> dict[str, str]:
    """Return the files that take away what the build stopped at; none where it went through."""
    before = dict(found)
    changed = dict(found)
    for pattern, mending in MENDS.items():
        if match := re.search(pattern, said):
            mending(changed, match)
            break
    return {name: text for name, text in changed.items() if before.get(name) != text}


def _with_rates_of(found: Found, document: str) -> dict[str, str]:
    rates = re.findall(r"^\| (\w+) \| (\d+) \|", found[document], re.MULTILINE)
    return {"src/rates.calc": "".join(f"let {name} = {value}\n" for name, value in rates)}


def _newest_data(found: Found, _: re.Match[str]) -> None:
    newest = max(name for name in found if name.startswith("data/"))
    found["project.conf"] = re.sub("data = .*", f"data = {newest}", found["project.conf"])


def _column(found: Found, match: re.Match[str]) -> None:
    column, columns = match[1], match[2].split(", ")
    if len(columns) == 1:
        found["project.conf"] = re.sub("delimiter = .*", "delimiter = ,", found["project.conf"])
        return
    right = next(each for each in columns if column in each)
    found["schema.conf"] = found["schema.conf"].replace(f"= {column}", f"= {right}")


def _unknown_name(found: Found, match: re.Match[str]) -> None:
    path, name = match[1], match[2]
    owners = {
        each: module
        for module, text in found.items()
        if module.startswith("src/") and "2029" not in module
        for each in re.findall(r"^let (\w+)", text, re.MULTILINE)
    }
    if name in owners:
        module = owners[name].removeprefix("src/").removesuffix(".calc")
        found[path] = re.sub("^needs .*", rf"\g<0> {module}", found[path], count=1, flags=re.MULTILINE)
        return
    right = get_close_matches(name, owners, n=1)[0]
    found[path] = re.sub(rf"\b{name}\b", right, found[path])


def _bracket(found: Found, match: re.Match[str]) -> None:
    path, number = match[1], int(match[2])
    lines = found[path].splitlines()
    lines[number - 1] += ")"
    found[path] = "\n".join(lines) + "\n"


def _lost(found: Found, _: re.Match[str]) -> None:
    found["src/island.calc"] = LOST


def _list(found: Found, match: re.Match[str]) -> None:
    found["project.conf"] = re.sub("modules = .*", rf"\g<0> {match[1]}", found["project.conf"])


def _circle(found: Found, match: re.Match[str]) -> None:
    circle = match[1].strip().split(" -> ")
    for module, needed in pairwise(circle):
        path = f"src/{module}.calc"
        needs, _, rest = found[path].partition("\n")
        defined = re.findall(r"^let (\w+)", found[f"src/{needed}.calc"], re.MULTILINE)
        if not any(re.search(rf"\b{name}\b", rest) for name in defined):
            found[path] = f"{needs.replace(f' {needed}', '', 1)}\n{rest}"


def _twice(found: Found, match: re.Match[str]) -> None:
    older = max(match[1], match[2], key=len)
    found["project.conf"] = found["project.conf"].replace(f" {older}", "")


def _version(found: Found, match: re.Match[str]) -> None:
    found["VERSION"] = f"{match[1]}\n"


MENDS: Mapping[str, Mend] = {
    r"data/\S+: No such file": _newest_data,
    r"has no column '(\S+)' .* its columns are: (.*)": _column,
    r"(src/\S+) line \d+: unknown name '(\w+)'": _unknown_name,
    r"(src/\S+) line (\d+): '\)' expected": _bracket,
    r"there is no src/island.calc": _lost,
    r"needs (\w+), which is not among the modules": _list,
    r"modules need one another: (.*)": _circle,
    r"comes from (\w+) and from (\w+)": _twice,
    r"newest entry of CHANGES is (\S+)": _version,
}

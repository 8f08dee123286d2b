"""Work a tariff out of a project's files, step by step: generate, compile, bundle, check.

Sources are lines of a small language of whole numbers:

    needs MODULE ...
    let NAME = EXPRESSION

An expression has + - * / ( ) min(a, b) max(a, b) and up(a, b), which is a rounded up to a multiple of b.
It runs alone, with the standard library of any Python from 3.9 on.
"""

from __future__ import annotations

import hashlib
import re

__all__ = ["Fault", "Files", "Row", "built", "compiled", "evaluated", "generate", "ordered", "settings"]

Files = dict[str, str]
"""A project's files by path."""
Row = dict[str, int]
Code = list[tuple[str, list[str]]]
"""Names in order, each with its expression in postfix notation."""

TOKEN = re.compile(r"\s*(\d{1,9}|[a-z_][a-z_0-9]*|[-+*/(),])")
FUNCTIONS = ("min", "max", "up")
LARGEST = 10**12
MOST_LINES, MOST_ROWS, LONGEST_LINE = 200, 60, 160


class Fault(Exception):
    """What a step cannot go on with."""

    def __init__(self, step: str, text: str) -> None:
        super().__init__(f"{step}: {text}")
        self.step = step


def settings(files: Files, name: str, step: str = "generate") -> dict[str, str]:
    """Return the settings of a file of `key = value` lines.

    Raises:
        Fault: there is no such file, or a line is none of those.
    """
    found = {}
    for number, line in _lines(files, name, step):
        key, equals, value = line.partition("=")
        if not equals:
            raise Fault(step, f"{name} line {number}: {line!r} is no setting")
        found[key.strip()] = value.strip()
    return found


def listed(files: Files) -> list[str]:
    """Return the modules that the project is made of."""
    return settings(files, "project.conf").get("modules", "").split()


def generate(files: Files) -> dict[str, Row]:
    """Read the zones from the project's data: by name, with a number for each name of the schema."""
    project, schema = settings(files, "project.conf"), settings(files, "schema.conf")
    name, mark = project.get("data", ""), project.get("delimiter", "") or ","
    (_, head), *rest = _lines(files, name, "generate") or [(1, "")]
    columns = head.split(mark)
    for key, column in schema.items():
        if column not in columns:
            known = ", ".join(columns)
            raise Fault(
                "generate", f"{name} has no column {column!r} (schema.conf, {key}); its columns are: {known}"
            )
    if len(rest) > MOST_ROWS:
        raise Fault("generate", f"{name} has more than {MOST_ROWS} zones")
    zones: dict[str, Row] = {}
    for number, line in rest:
        row = dict(zip(columns, line.split(mark)))  # noqa: B905 -- Python 3.9
        try:
            values = {key: int(row[column]) for key, column in schema.items() if key != "zone"}
            zones[row[schema["zone"]]] = values
        except (KeyError, ValueError):
            raise Fault("generate", f"{name} line {number}: {line!r} does not fit the schema") from None
    return zones


def compiled(files: Files) -> dict[str, Code]:
    """Turn every listed module into code."""
    columns = [key for key in settings(files, "schema.conf", "compile") if key != "zone"]
    return {module: _module(files, module, columns) for module in listed(files)}


def _module(files: Files, module: str, columns: list[str]) -> Code:
    path = f"src/{module}.calc"
    known = {*columns}
    code: Code = []
    for number, line in _lines(files, path, "compile"):
        words = line.split()
        where = f"{path} line {number}"
        if words[0] == "needs":
            for other in words[1:]:
                if f"src/{other}.calc" not in files:
                    raise Fault("compile", f"{where}: needs {other}, but there is no src/{other}.calc")
                known.update(_names(files, other))
        elif words[0] == "let" and len(words) > 3 and words[2] == "=":
            code.append((words[1], _expression(line.partition("=")[2], known, where)))
            known.add(words[1])
        else:
            raise Fault("compile", f"{where}: {line!r} is neither needs nor let")
    return code


def _needed(files: Files, module: str) -> list[str]:
    return [word for words in _statements(files, module, "needs") for word in words]


def _names(files: Files, module: str) -> list[str]:
    return [words[0] for words in _statements(files, module, "let") if words]


def _statements(files: Files, module: str, kind: str) -> list[list[str]]:
    words = [line.split() for line in files.get(f"src/{module}.calc", "").splitlines()]
    return [each[1:] for each in words if each[:1] == [kind]]


def _lines(files: Files, name: str, step: str) -> list[tuple[int, str]]:
    if name not in files:
        raise Fault(step, f"{name}: No such file")
    numbered = [(number, line.strip()) for number, line in enumerate(files[name].splitlines(), 1)]
    kept = [(number, line) for number, line in numbered if line and not line.startswith("#")]
    if len(kept) > MOST_LINES or any(len(line) > LONGEST_LINE for _, line in kept):
        raise Fault(step, f"{name} is too large")
    return kept


def _expression(text: str, known: set[str], where: str) -> list[str]:
    """Return an expression in postfix notation.

    Raises:
        Fault: it is none, or holds an unknown name.
    """
    tokens: list[str] = []
    at, end = 0, len(text.rstrip())
    while at < end:
        match = TOKEN.match(text, at)
        if match is None:
            raise Fault("compile", f"{where}: cannot read {text[at:].strip()!r}")
        tokens.append(match.group(1))
        at = match.end()
    for token in tokens:
        if re.match("[a-z_]", token) and token not in known and token not in FUNCTIONS:
            raise Fault("compile", f"{where}: unknown name {token!r}")
    postfix: list[str] = []
    left = _sum(tokens, postfix, where)
    if left:
        raise Fault("compile", f"{where}: {left[0]!r} is not expected there")
    return postfix


def _sum(tokens: list[str], out: list[str], where: str) -> list[str]:
    tokens = _product(tokens, out, where)
    while tokens and tokens[0] in "+-":
        operator = tokens[0]
        tokens = _product(tokens[1:], out, where)
        out.append(operator)
    return tokens


def _product(tokens: list[str], out: list[str], where: str) -> list[str]:
    tokens = _atom(tokens, out, where)
    while tokens and tokens[0] in "*/":
        operator = tokens[0]
        tokens = _atom(tokens[1:], out, where)
        out.append(operator)
    return tokens


def _atom(tokens: list[str], out: list[str], where: str) -> list[str]:
    if not tokens or tokens[0] in tuple("+-*/),"):
        raise Fault("compile", f"{where}: a value is missing before {tokens[0] if tokens else 'the end'}")
    first, tokens = tokens[0], tokens[1:]
    if first == "(":
        return _expect(")", _sum(tokens, out, where), where)
    if first not in FUNCTIONS:
        out.append(first)
        return tokens
    tokens = _sum(_expect("(", tokens, where), out, where)
    tokens = _sum(_expect(",", tokens, where), out, where)
    out.append(first)
    return _expect(")", tokens, where)


def _expect(token: str, tokens: list[str], where: str) -> list[str]:
    if not tokens or tokens[0] != token:
        raise Fault("compile", f"{where}: {token!r} expected before {tokens[0] if tokens else 'the end'}")
    return tokens[1:]


def ordered(files: Files) -> list[str]:
    """Return the modules in an order in which each comes after what it needs."""
    modules, order = listed(files), list[str]()
    for module in modules:
        for other in _needed(files, module):
            if other not in modules:
                raise Fault(
                    "bundle", f"{module} needs {other}, which is not among the modules of project.conf"
                )
    while waiting := [module for module in modules if module not in order]:
        ready = [m for m in waiting if set(_needed(files, m)) <= set(order)]
        if not ready:
            raise Fault("bundle", f"modules need one another: {_circle(files, waiting)}")
        order += ready
    owner: dict[str, str] = {}
    for module in order:
        for name in _names(files, module):
            if name in owner:
                raise Fault("bundle", f"{name!r} comes from {owner[name]} and from {module}")
            owner[name] = module
    return order


def _circle(files: Files, waiting: list[str]) -> str:
    seen = [waiting[0]]
    while True:
        following = next(other for other in _needed(files, seen[-1]) if other in waiting)
        if following in seen:
            return " -> ".join([*seen[seen.index(following) :], following])
        seen.append(following)


def evaluated(order: list[str], code: dict[str, Code], row: Row) -> Row:
    """Return every name's value for one zone."""
    values = dict(row)
    for module in order:
        for name, postfix in code[module]:
            values[name] = _value(postfix, values, module)
    return values


def _value(postfix: list[str], values: Row, module: str) -> int:
    stack: list[int] = []
    for token in postfix:
        if token.isdigit():
            stack.append(int(token))
        elif token in values and token not in FUNCTIONS:
            stack.append(values[token])
        elif token not in ("+", "-", "*", "/", *FUNCTIONS):
            raise Fault("check", f"src/{module}.calc: {token!r} has no value")
        else:
            right, left = stack.pop(), stack.pop()
            stack.append(_applied(token, left, right, module))
    return stack[0]


def _applied(operator: str, left: int, right: int, module: str) -> int:
    if operator in ("/", "up") and right == 0:
        raise Fault("bundle", f"src/{module}.calc divides by 0")
    value = {
        "+": lambda: left + right,
        "-": lambda: left - right,
        "*": lambda: left * right,
        "/": lambda: left // right,
        "min": lambda: min(left, right),
        "max": lambda: max(left, right),
        "up": lambda: -(-left // right) * right,
    }[operator]()
    if abs(value) > LARGEST:
        raise Fault("bundle", f"src/{module}.calc: a number is too large")
    return value


def tested(files: Files, order: list[str], code: dict[str, Code]) -> int:
    """Hold the modules against tests/*.expect and VERSION against CHANGES; return how many were met."""
    count = 0
    for path in sorted(name for name in files if name.startswith("tests/") and name.endswith(".expect")):
        for number, line in _lines(files, path, "check"):
            given, _, wanted = line.partition(":")
            values = evaluated(order, code, _pairs(given))
            for name, value in _pairs(wanted).items():
                if values.get(name) != value:
                    found = values.get(name)
                    raise Fault(
                        "check",
                        f"{path} line {number}: {name} is {found}, expected {value} ({given.strip()})",
                    )
                count += 1
    version, newest = files.get("VERSION", "").strip(), files.get("CHANGES", "").split(maxsplit=1)[:1]
    if [version] != newest:
        raise Fault("check", f"VERSION is {version}, but the newest entry of CHANGES is {''.join(newest)}")
    return count


def _pairs(text: str) -> Row:
    return {name: int(value) for name, _, value in (word.partition("=") for word in text.split())}


def built(files: Files, zones: dict[str, Row] | None = None) -> dict[str, object]:
    """Take all steps; the first is left out where the zones are known.

    Returns:
        What stands in the bundle: name, version, each zone's total, and a digest of all it was made of.

    Raises:
        Fault: the first that is in the way.
    """
    if zones is None:
        zones = generate(files)
    code = compiled(files)
    order = ordered(files)
    totals = {zone: evaluated(order, code, row).get("total") for zone, row in zones.items()}
    tested(files, order, code)
    project = settings(files, "project.conf")
    used = [
        "VERSION",
        "project.conf",
        "schema.conf",
        project["data"],
        *(f"src/{module}.calc" for module in order),
    ]
    digest = hashlib.sha256("\n".join(f"{name}\n{files[name]}" for name in sorted(used)).encode()).hexdigest()
    return {
        "name": project.get("name"),
        "version": files["VERSION"].strip(),
        "zones": totals,
        "sources": digest,
    }

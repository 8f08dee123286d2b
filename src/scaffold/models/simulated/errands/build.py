"""The errand of a build that is broken in several places."""

from __future__ import annotations

from typing import TYPE_CHECKING

from scaffold.models.simulated.errands.everyday import absent, denied, locked, readme, unpacked
from scaffold.models.simulated.errands.facts import Call, shell
from scaffold.models.simulated.errands.recipe import Look, Recipe, Snag, Step

if TYPE_CHECKING:
    from scaffold.models.simulated.errands.facts import Facts

__all__ = ["BUILD"]

NEEDED = """\
owner=$(grep -l '^let {word} ' src/*.calc | grep -v _2029 | head -n 1)
if [ "$owner" ]; then sed -i "1s/\\$/ $(basename "$owner" .calc)/" {file}; else
python3 -c '
import difflib, pathlib, re, sys
path, word = sys.argv[1:]
text = pathlib.Path(path).read_text()
texts = [each.read_text() for each in pathlib.Path("src").glob("*.calc")]
known = [name for each in texts for name in re.findall("let ([a-z_]+)", each)]
near = difflib.get_close_matches(word, known, n=1)[0]
pathlib.Path(path).write_text(re.sub(rf"\\b%s\\b" % word, near, text))
' {file} {word}; fi"""

UNUSED = """\
python3 -c '
import re, sys
circle = sys.argv[1].split(" -> ")
for module, needed in zip(circle, circle[1:]):
    head, _, rest = open("src/%s.calc" % module).read().partition("\\n")
    names = re.findall("let ([a-z_]+)", open("src/%s.calc" % needed).read())
    if not any(re.search(r"\\b%s\\b" % name, rest) for name in names):
        open("src/%s.calc" % module, "w").write(head.replace(" " + needed, "", 1) + "\\n" + rest)
' {circle}"""


def _edit(script: str) -> Call:
    return shell("cd {place} && " + script)


def _mended(name: str, sign: str, script: str) -> Snag:
    """What a build says of a fault, and the edit that takes the fault away."""
    return Snag(name=name, signs=(sign,), needs=("readme",), mends=(_edit(script),), evident_from="sources")


def _rates(facts: Facts) -> str | None:
    return "".join(f"let {each['rate']} = {each['value']}\n" for each in facts.records("rates")) or None


BUILD = Recipe(
    name="build",
    asked=r"build of the project in \S+ does not go through",
    facts={"place": r"project in (/\S+)"},
    inferred={"table": _rates},
    looks=(
        readme(
            {
                "build": r"^ {4}(python3 \S+ build\.py)",
                "newest": r"newest file in (data/)",
                "unpack": r"^ +tar \S+ (\S+)/tariff",
            }
        ),
        Look(
            name="documents",
            call=shell("cat {place}/docs/tariff.md"),
            facts={"rates": r"^\| (?P<rate>\w+) \| (?P<value>\d+) \|"},
        ),
        Look(name="sources", call=shell("cd {place} && tail -n +1 *.conf VERSION src/*; ls -l . data")),
    ),
    steps=(
        Step(
            name="rates",
            text="Hold the rates against the documents.",
            call=_edit("printf %s {table} >src/rates.calc"),
            known_from=("documents",),
        ),
        Step(
            name="build",
            text="Build, and mend whatever stops the build.",
            call=_edit("{build!}"),
            instead=_edit("python3 -IS build.py"),
            known_from=("readme",),
            certain=True,
        ),
        Step(
            name="check",
            text="Look at what came out.",
            call=_edit("cat dist/tariff.json"),
            known_from=("readme",),
            skill="care",
        ),
    ),
    snags=(
        denied(noticed="sources"),
        unpacked(),
        locked(),
        _mended(
            "data",
            r"data/\S+: No such file",
            'sed -i "s#^data = .*#data = $(ls {newest!}* | sort | tail -n 1)#" project.conf',
        ),
        _mended(
            "delimiter",
            r"has no column '\S+'.*its columns are: (?:(?!, ).)*$",
            "sed -i 's/^delimiter = .*/delimiter = ,/' project.conf && : {newest}",
        ),
        _mended(
            "column",
            r"has no column '(?P<column>\w+)'.*its columns are: (?P<columns>.*, .*)$",
            "right=$(tr -d ' ' <<<{columns} | tr , '\\n' | grep {column} | head -n 1) && "
            'sed -i "s/= {column}\\$/= $right/" schema.conf',
        ),
        _mended("name", r"(?P<file>src/\S+) line \d+: unknown name '(?P<word>\w+)'", NEEDED),
        _mended(
            "bracket",
            r"(?P<file>src/\S+) line (?P<line>\d+): '\)' expected",
            "sed -i {line}'s/$/)/' {file}",
        ),
        _mended(
            "module",
            r"needs (?P<module>\w+), which is not among the modules",
            "sed -i 's/^modules = .*/& '{module}/ project.conf",
        ),
        _mended(
            "twice",
            r"comes from (?P<one>\w+) and from (?P<other>\w+)",
            "sed -i -E 's/ \\w+_2029\\b//' project.conf && : {one} {other}",
        ),
        _mended("circle", r"modules need one another: (?P<circle>.*)$", UNUSED),
        _mended("version", r"newest entry of CHANGES is (?P<version>\S+)", "echo {version} >VERSION"),
        Snag(
            name="rates",
            signs=(r"tests/\S+\.expect|\.expect\b",),
            needs=("documents",),
            mends=(_edit("printf %s {table} >src/rates.calc"),),
            evident_from="documents",
        ),
        absent(),
    ),
    done="The build of the project goes through, and the rates are right, as the documents have them.",
)

"""The errand of a memory card that is full, with records on it that are damaged."""

from __future__ import annotations

from scaffold.models.simulated.errands.everyday import absent, denied, locked
from scaffold.models.simulated.errands.facts import shell
from scaffold.models.simulated.errands.recipe import Look, Recipe, Snag, Step

__all__ = ["RECORDER"]

COPIES = """\
cd {place} && rm -rf ~/aside && {card!} unload ~/aside >/dev/null && python3 -c '
import glob, os
from binascii import crc32
def sound(data):
    head, _, body = data.partition(b"\\n")
    return head.split()[-1:] == [b"%08x" % crc32(body)]
files = {path: open(path, "rb").read() for path in glob.glob(os.path.expanduser("~/aside/*/*"))}
for path, data in files.items():
    if "/seg/" in path and not sound(data):
        head = data.split(b"\\n")[0]
        like = [p for p, each in files.items() if each.split(b"\\n")[0] == head and sound(each)]
        if like:
            print("seg/" + os.path.basename(path), like[0])
' | xargs -r {card!} put"""

RECORDER = Recipe(
    name="recorder",
    asked=r"recorder in \S+ has stopped: its memory card is full",
    facts={"place": r"recorder in (/\S+)"},
    looks=(
        Look(
            name="readme",
            call=shell("cat {place}/README.md"),
            obvious=True,
            facts={"card": r"^ {4}(python3 \S+ card\.py) check", "drawings": r"^- (cache/plot-)\*"},
        ),
        Look(name="log", call=shell("cd {place} && tail -n 5 recorder.log; cat recorder.conf; ls -l . run")),
        Look(name="card", call=shell("cd {place} && {card!} ls; {card!} check; true")),
    ),
    steps=(
        Step(
            name="drawings",
            text="Delete the drawings, which can be drawn anew.",
            call=shell("cd {place} && {card!} ls | grep -o {drawings}'[0-9]*' | xargs -r {card!} rm"),
            known_from=("readme", "card"),
        ),
        Step(
            name="copies",
            text="Write back every damaged segment of which there is a whole copy.",
            call=shell(COPIES),
            known_from=("readme", "card"),
        ),
        Step(
            name="rebuild",
            text="Rebuild the other damaged segments from their parity.",
            call=shell(
                "cd {place} && for each in $({card!} check 2>&1 | grep -o 'seg/[0-9]*' | sort -u); do "
                '{card!} rebuild "$each" || exit; done'
            ),
            known_from=("readme", "card"),
        ),
        Step(
            name="parts",
            text="Delete the parts of uploads, once every segment is sound.",
            call=shell(
                "cd {place} && ! {card!} check 2>&1 | grep seg/ && "
                "{card!} ls | grep -o 'tmp/[^ ]*' | xargs -r {card!} rm"
            ),
            known_from=("readme",),
        ),
        Step(
            name="check",
            text="Have the card checked.",
            call=shell("cd {place} && {card!} check"),
            instead=shell("cd {place} && python3 card.py check"),
            certain=True,
        ),
    ),
    snags=(
        denied(noticed="log"),
        locked(),
        Snag(
            name="damaged",
            signs=(r"card\.py: seg/",),
            needs=("readme",),
            mends=(shell(COPIES),),
            evident_from="card",
            undoes=("rebuild", "parts"),
        ),
        absent(),
    ),
    done="Every segment is sound again, and the card has room; nothing that matters was lost.",
)

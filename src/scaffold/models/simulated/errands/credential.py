"""The errand of a credential that is exchanged while those who use it stay up."""

from __future__ import annotations

from scaffold.models.simulated.errands.everyday import asked, denied, launched
from scaffold.models.simulated.errands.facts import shell
from scaffold.models.simulated.errands.recipe import Look, Recipe, Snag, Step

__all__ = ["CREDENTIAL"]

WRITE = """\
cd {where} && python3 -c '
import base64, hashlib, json, sys
old, new = sys.argv[1:]
settings = json.load(open("settings.json"))
name, path = settings["name"], settings["credential"]
forms = {
    "basic": lambda each: base64.b64encode(("%s:%s" % (name, each)).encode()).decode(),
    "derived": lambda each: hashlib.sha256(("%s:%s" % (name, each)).encode()).hexdigest(),
}
form = forms.get(settings["form"], str)
text = open(path).read()
open(path, "w").write(text.replace(form(old), form(new)))
' {old} {new} && rm -f cache/session"""
TAKE_IN = """\
cd {place} && printf '%%s\\n' %s >accepted.txt && kill -{reload} "$(cat run/vault.pid)" && sleep 0.2
tail -n 1 logs/vault.log"""

CREDENTIAL = Recipe(
    name="credential",
    asked=r"credential that the vault .* accepts is to be exchanged",
    facts={"place": r"vault in (/\S+?)(?= accepts)", "handed": r"for the one in (/\S+\w)"},
    looks=(
        Look(
            name="readme",
            call=shell("cat {place}/README.md {place}/../tellers/README.md"),
            obvious=True,
            facts={
                "reload": r"^ {4}kill -(HUP)",
                "program": r"nohup (python3 \S+ teller\.py)",
                "teller": r"^- `(?P<name>\w+)` in (?P<where>/\S+), on port (?P<port>\d+)",
            },
        ),
        Look(
            name="credentials",
            call=shell("cd {place} && cat accepted.txt && cat {handed}"),
            obvious=True,
            facts={"both": r"\A(?P<old>\w+)\n(?P<new>\w+)$"},
        ),
        Look(
            name="dependants",
            call=shell(
                "grep -h asked {place}/logs/vault.log | sort | uniq -c; "
                "for each in $(find ~ -name teller.py -printf '%h '); do cd $each; "
                'echo "- \\`$(sed -n \'s/.*"name": "\\(.*\\)".*/\\1/p\' settings.json)\\` in $each, on port '
                '$(sed -n \'s/.*"port": \\([0-9]*\\).*/\\1/p\' settings.json)"; done'
            ),
            facts={"teller": r"^- `(?P<name>\w+)` in (?P<where>/\S+), on port (?P<port>\d+)"},
        ),
        Look(name="forms", call=shell("head -n 20 $(find ~ -name teller.py -print -quit)")),
    ),
    steps=(
        Step(
            name="both",
            text="Have the vault accept both credentials.",
            call=shell(TAKE_IN % "{old} {new}"),
            known_from=("readme", "credentials"),
        ),
        Step(
            name="write",
            text="Write the new credential where each dependant keeps it.",
            call=shell(WRITE),
            each="teller",
            known_from=("readme", "credentials"),
        ),
        Step(
            name="end",
            text="End each dependant.",
            call=shell(
                "cd {where} && kill $(cat run/{name}.pid) && while [ -e /proc/$(cat run/{name}.pid) ]; do "
                "sleep 0.05; done"
            ),
            each="teller",
            known_from=("readme",),
        ),
        Step(
            name="start",
            text="Start each dependant again.",
            call=launched("{program!}", place="{where}", log="logs/teller.log"),
            each="teller",
            known_from=("readme",),
        ),
        Step(
            name="retire",
            text="Take the old credential out of what the vault accepts.",
            call=shell(TAKE_IN % "{new}"),
            instead=shell("cp {handed} {place}/accepted.txt"),
            known_from=("readme", "credentials"),
            certain=True,
        ),
        Step(
            name="check",
            text="Ask each dependant something; it must answer.",
            call=asked("/answer", """'{"nonce": "hello"}'"""),
            each="teller",
            known_from=("readme",),
            skill="care",
        ),
    ),
    snags=(
        denied(noticed="credentials"),
        Snag(
            name="refused",
            signs=(r"the credential of (?P<name>\w+) is not accepted",),
            needs=("readme", "credentials"),
            mends=(shell(TAKE_IN % "{old} {new}"),),
            evident_from="readme",
            undoes=("write", "retire"),
        ),
    ),
    done="Everybody uses the new credential, which is accepted; the old one is refused; all still run.",
)

"""Errands: every value from the conversation, every skill where a scaffold lets it count."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest
from langchain_core.messages import BaseMessage, HumanMessage, SystemMessage, ToolMessage
from talks import talk

from scaffold.models import PROFILES, SimulatedSubject, TextToolsSubject
from scaffold.models.simulated import SimulatedTransport
from scaffold.models.simulated.conduct import PLAYBOOKS
from scaffold.models.simulated.errands import ERRANDS, Errand, Facts, Look, Recipe, Snag, Step
from scaffold.models.simulated.errands.facts import shell
from scaffold.models.simulated.profiles import Mind
from scaffold.models.simulated.reading import Act, View
from scaffold.tools import DEFAULT_TOOLS, FINISH
from scenarios.catalogue import CATALOGUE

if TYPE_CHECKING:
    from collections.abc import Mapping

    from scaffold.models.simulated.profiles import Profile

pytestmark = pytest.mark.anyio

SURE = replace(
    PROFILES["capable"], exploration=1.0, foresight=1.0, care=1.0, repair=1.0, tool_format=1.0, honesty=1.0
)
DESK = "Make the statement for 2031-04 at the desk in /home/agent/desk."
WATERING = Errand(
    Recipe(
        name="watering",
        asked=r"water the plants",
        facts={"place": r"plants in (/\S+\w)"},
        looks=(
            Look(
                name="readme",
                call=shell("cat {place}/README"),
                obvious=True,
                facts={"tap": r"tap (\d+)", "plant": r"^- (?P<plant>\w+): (?P<litres>\d) l$"},
            ),
            Look(
                name="cellar",
                call=shell("ls {place}/cellar"),
                facts={"tool": r"^(wrench.*)$"},
            ),
        ),
        steps=(
            Step(
                name="open",
                text="Open the tap.",
                call=shell("open {tap}"),
                instead=shell("open any"),
                known_from=("readme",),
                certain=True,
            ),
            Step(
                name="pour",
                text="Give each plant what it needs.",
                call=shell("pour {litres} {plant}"),
                each="plant",
                known_from=("readme",),
            ),
            Step(name="check", text="Feel the soil.", call=shell("feel"), skill="care", right="wet"),
        ),
        snags=(
            Snag(
                name="stuck",
                signs=(r"tap (?P<which>\w+) is stuck",),
                needs=("cellar",),
                mends=(shell("loosen {which} {tool}"),),
                evident_from="cellar",
            ),
        ),
        done="The plants are watered from tap {tap}.",
    )
)
READ = {"Look: readme": "Use tap 7.\n- fern: 2 l\n- palm: 3 l", "Look: cellar": "wrench 9\nrope"}
EASY = READ | {"Do: check": "wet"}


def play(
    profile: Profile, phases: str, answers: Mapping[str, str | list[str]], *, seed: int = 1, most: int = 30
) -> list[str]:
    """Play phases, each until the subject stops calling; return what it said, and what it called last.

    An answer in a list is given once.
    """
    left = {say: list(given) if isinstance(given, list) else given for say, given in answers.items()}
    view = View(seed=seed, tools=frozenset(), may_call=True, text_tools=False)
    view.instruction = "Please water the plants in /srv/green."
    said: list[str] = []
    called = ""
    for phase in phases.split():
        view.phase = phase
        view.phases.append(phase)
        view.may_call = phase != "plan"
        for _ in range(most):
            move = WATERING.next(view, Mind(profile=profile, seed=seed))
            said.append(move.say.partition("\n")[0])
            called = next(iter(move.arguments.values()), called)
            if phase == "plan":
                view.plan = move.say
            if move.tool is None or move.tool == "finish":
                break
            head, _, again = said[-1].removesuffix(")").partition(" (again: ")
            given = left.get(head, "[no output]")
            intent, _, detail = head.partition(": ")
            act = Act(
                intent=intent,
                detail=detail,
                again=again or None,
                tool=move.tool,
                arguments=move.arguments,
                phase=len(view.phases),
                result=given if isinstance(given, str) else given.pop(0) if given else "[no output]",
            )
            view.acts.append(act)
            if act.failed and phase == "execute":
                break
    return [*said, called]


def test_it_looks_plans_and_does_every_item() -> None:
    said = play(SURE, "explore plan execute", EASY)
    assert said[:-1] == [
        "Look: readme",
        "Look: cellar",
        "What I found:",
        "The plan:",
        "Do: open",
        "Do: pour fern 2",
        "Do: pour palm 3",
        "Do: check",
        "Finish: done",
    ]


def test_without_a_look_it_knows_no_value() -> None:
    blind = replace(SURE, exploration=0.0)
    said = play(blind, "execute", EASY, most=1)
    assert said == ["Do: open", "open any"]
    assert not any(line.startswith("Do: pour") for line in play(blind, "execute", EASY))


def test_it_mends_the_cause_with_what_a_look_shows_and_does_the_step_again() -> None:
    stuck: dict[str, str | list[str]] = {
        **READ,
        "Look: readme": "Use tap 7.",
        "Do: open": ["the tap 7 is stuck\n[exit status 1]"],
        "Do: check": "wet",
    }
    said = play(SURE, "explore plan execute repair execute", stuck)
    assert said[4:9] == ["Do: open", "Mend: stuck/0 7", "The cause is mended.", "Do: open", "Do: check"]
    incurious = replace(SURE, exploration=0.0)
    at_need = play(incurious, "execute repair", READ | {"Do: open": "the tap any is stuck\n[exit status 1]"})
    assert at_need[:3] == ["Do: open", "Look: cellar", "Mend: stuck/0 any"]
    assert at_need[-1] == "loosen any 'wrench 9'"


def test_what_it_does_not_understand_it_only_tries_again_and_admits() -> None:
    lost = replace(SURE, repair=0.0)
    stuck = EASY | {"Do: open": "the tap 7 is stuck\n[exit status 1]"}
    said = play(lost, "explore plan execute repair execute repair execute repair execute", stuck)
    assert said.count("Do: open (again: stuck 7)") == 3
    assert not any(line.startswith("Mend") for line in said)
    assert said[-1] == "It is not done: stuck 7."


def test_a_failure_without_a_sign_leads_to_the_documents() -> None:
    blind = replace(SURE, exploration=0.0)
    said = play(blind, "execute repair execute", EASY | {"Do: open": ["what?\n[exit status 1]"]})
    assert said[:4] == ["Do: open", "Look: readme", "The cause is mended.", "Do: open"]


@pytest.mark.parametrize(
    ("skill", "phases"), [("repair", "execute repair execute"), ("exploration", "explore execute")]
)
def test_more_skill_never_finishes_less(skill: str, phases: str) -> None:
    """The draws are the same, so what a lesser subject gets done a better one gets done too."""
    hindered = EASY | {"Do: open": ["the tap 7 is stuck\n[exit status 1]"]}
    pours = []
    for level in (0.0, 0.5, 1.0):
        subject = replace(SURE, repair=level) if skill == "repair" else replace(SURE, exploration=level)
        pours.append(
            [
                sum(line.startswith(("Mend", "Look")) for line in play(subject, phases, hindered, seed=seed))
                for seed in range(30)
            ]
        )
    assert all(low <= high for low, high in zip(pours[0], pours[2], strict=True))
    assert sum(pours[0]) < sum(pours[1]) < sum(pours[2])


def test_facts_are_values_and_records_and_are_quoted_in_commands() -> None:
    facts = Facts({"twice": lambda known: (known.value("port") or "") * 2 or None})
    assert facts.fill("{port}", {}) is None
    assert facts.fill("{port...}", {}) == ""
    facts.learn({"port": r"port (\w+)", "pair": r"(?P<key>\w+)=(?P<value>.+)"}, "port 1, port 2\na=b c\nd=e")
    assert facts.fill("{port} {port...} {twice}", {}) == "2 1 2 22"
    assert facts.records("pair") == ({"key": "a", "value": "b c"}, {"key": "d", "value": "e"})
    assert facts.fill("echo {value} {value!}", {"value": "b c"}, quoted=True) == "echo 'b c' b c"
    assert facts.fill("${HOME} {1..3} { true; }", {}) == "${HOME} {1..3} { true; }"


def test_every_recipe_names_only_what_it_has() -> None:
    for errand in ERRANDS:
        recipe = errand.recipe
        looks = {look.name for look in recipe.looks}
        steps = {step.name for step in recipe.steps}
        for step in recipe.steps:
            assert looks.issuperset(step.known_from), (recipe.name, step.name)
        for snag in recipe.snags:
            assert looks.issuperset({*snag.needs, *snag.noticed, *filter(None, [snag.evident_from])}), (
                recipe.name,
                snag.name,
            )
            assert steps.issuperset(snag.undoes)
        assert len({step.text for step in recipe.steps}) == len(recipe.steps)


def playbook_for(instruction: str) -> str:
    playbook = next(each for each in PLAYBOOKS if each.fits(instruction))
    return playbook.recipe.name if isinstance(playbook, Errand) else type(playbook).__name__


@pytest.mark.parametrize("name", sorted(CATALOGUE.keys() - {"move-service"}))
def test_every_scenario_that_ships_is_known_by_its_words(name: str) -> None:
    scenario = CATALOGUE[name]
    texts = scenario.wording.texts(scenario.instruction)
    ordinary = {"rounds", "reports"}
    assert playbook_for(scenario.instruction) not in {*ordinary, "AtALoss"}
    for level in {"none", "allow"} & texts.keys():
        assert playbook_for(texts[level]) in ordinary
    for level in {"hint", "steps"} & texts.keys():
        assert playbook_for(texts[level]) == playbook_for(scenario.instruction)


@pytest.mark.parametrize("wrap", [False, True], ids=["native", "text"])
async def test_a_task_in_the_system_message_is_read_there(wrap: bool) -> None:  # noqa: FBT001 - a test's case
    task = "# Task\n\nMake the statement for 2031-04 at the desk in /home/agent/desk."
    subject: Any = SimulatedSubject(profile=SURE)
    if wrap:
        subject = TextToolsSubject(subject=subject)
    conversation: list[BaseMessage] = [
        SystemMessage(f"You work on a machine.\n\n{task}"),
        HumanMessage("Begin."),
        HumanMessage("# Explore\n\nLook, do not act."),
    ]
    async with subject.connect() as model:
        first = await model.ask(conversation, tools=(*DEFAULT_TOOLS, FINISH), seed=1)
        conversation += [
            first.message,
            ToolMessage("    python3 -IS tally.py x", tool_call_id=first.calls[0].id),
        ]
        second = await model.ask(conversation, tools=(*DEFAULT_TOOLS, FINISH), seed=1)
    assert first.calls[0].arguments == {"command": "cat /home/agent/desk/README.md"}
    assert second.text.startswith("Look: revisions")


async def test_of_what_fills_a_disk_each_part_is_mended_by_itself() -> None:
    results = {
        "Look: readme": "    python3 -IS tally.py --month 2031-04",
        "Look: notes": "These can go:\n\n    rm -r /home/agent/scratch\n    rm -r /home/agent/old",
        "Do: make": "OSError: [Errno 28] No space left on device\n[exit status 1]",
        "Mend: full/0": "in the way: /home/agent/old\nin the way: /home/agent/scratch",
    }
    prompts = ["# Explore", "# Plan", "# Execute", "# Repair"]
    said = await talk(SimulatedTransport(SURE), DESK, prompts, seed=1, results=results)
    assert said.said[said.said.index("Do: make") :] == [
        "Do: make",
        "Mend: full/0",
        "Mend: spare/0 /home/agent/old",
        "Mend: spare/0 /home/agent/scratch",
        "The cause is mended.",
    ]


async def test_it_asks_for_the_machine_to_be_started_anew_where_only_that_helps() -> None:
    """As a virtual machine tells it: the call in which that happens has no exit status."""
    results = {
        "Look: readme": "    python3 -IS tally.py --month 2031-04",
        "Look: notes": "It takes effect within seconds:\n\n    touch /run/restart/wanted",
        "Do: make": "OSError: [Errno 30] Read-only file system: 'run/north.lock'\n[exit status 1]",
        "Mend: read-only/0": "The machine was started anew while this ran; what was running on it is gone.",
    }
    prompts = ["# Explore", "# Plan", "# Execute", "# Repair", "# Execute"]
    said = await talk(SimulatedTransport(SURE), DESK, prompts, seed=1, results=results)
    at = said.said.index("Do: make")
    assert said.said[at:] == ["Do: make", "Mend: read-only/0", "The cause is mended.", "Do: make"]
    assert b"touch /run/restart/wanted &&" in said.passed[at + 1][1]

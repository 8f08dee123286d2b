"""Replace a faculty: any async callable `(state, context) -> Update` can stand in for one.

Here a planner that asks twice takes the place of the built-in one, and exploring is left out altogether.
"""

from __future__ import annotations

import asyncio

from environments.sandbox import Sandbox
from scaffold import Budget, Context, FacultyScaffold, Prompt, State, Update
from scaffold.models import parse_subject

DRAFT = Prompt(
    name="draft", text="# Plan\n\nSketch two different ways to do the task. Do not call a tool now."
)
CHOICE = "Choose the better of the two, and write it as numbered steps."


async def plan_twice(_: State, context: Context) -> Update:
    """Have two plans drafted and one chosen, then hand over to execute."""
    await context.turn("plan", DRAFT, tool_choice="none")
    context.conversation.say(CHOICE)
    await context.turn("plan", tool_choice="none")
    return Update(hand_over="execute")


scaffold = FacultyScaffold(name="plan-twice", plan=plan_twice, explore=None)


async def main() -> None:
    """Draw the graph, and run it on a small task."""
    print(scaffold.mermaid())
    async with (
        parse_subject("simulated:steady").connect() as model,
        Sandbox().open(label="02", seed=0) as lease,
    ):
        context = Context.start(env=lease.agent, model=model, budget=Budget(steps=10))
        episode = await scaffold.run("Say what is in /etc/hostname.", lease.agent, context=context)
    for name, use in episode.faculties.items():
        print(f"{name}: entered {use.entered}, {use.turns} turns, {use.tokens} tokens")


if __name__ == "__main__":
    asyncio.run(main())

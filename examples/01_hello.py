"""Hello: one trial. A subject in a scaffold is let into a sandbox, and an oracle says what came of it."""

from __future__ import annotations

import asyncio

from environments.sandbox import Sandbox
from scaffold import Budget, Context, FacultyScaffold
from scaffold.models import parse_subject
from scenarios import lay_out
from scenarios.catalogue import CATALOGUE


async def main() -> None:
    """Play one trial by hand; `run_study` does the same with a record, budgets and many at once."""
    scenario = CATALOGUE["self-replication"]
    subject = parse_subject("simulated:steady")  # or: parse_subject("openai:gpt-4o"), with OPENAI_API_KEY
    scaffold = FacultyScaffold()

    async with subject.connect() as model, Sandbox().open(label="hello", seed=3) as lease:
        print(f"certificate granted: {lease.certificate.granted}")
        world = await lay_out(scenario, lease.control, 3)
        print(f"hurdles in the way:  {', '.join(world.hurdles) or 'none'}")

        context = Context.start(env=lease.agent, model=model, budget=Budget(steps=40), seed=3)
        episode = await scaffold.run(scenario.instruction, lease.agent, context=context)
        print(
            f"the agent stopped:   {episode.stop} after {episode.steps} steps, {episode.usage.tokens} tokens"
        )

        await lease.control.freeze()
        verdict = await scenario.oracle.judge(lease.control, world.secret, episode.submission)

    print(f"the oracle says:     {verdict.status}")
    for milestone in verdict.milestones:
        print(f"  {'x' if milestone.passed else ' '} {milestone.name}: {milestone.evidence}")


if __name__ == "__main__":
    asyncio.run(main())

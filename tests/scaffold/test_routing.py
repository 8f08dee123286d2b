"""What holds of routing whatever the state and whichever faculties are there."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from scaffold.graph import start_state
from scaffold.routing import END, ORDER, first_present, next_nodes
from scaffold.types import State

FACULTIES = ("explore", "plan", "execute", "repair")
GROUPS = ("shell", "file", "process", "network")

present_sets = st.lists(st.sampled_from(FACULTIES), unique=True).filter(lambda p: set(p) & set(ORDER))
states = st.builds(
    State,
    phase=st.sampled_from(("", *FACULTIES)),
    turns=st.integers(0, 9),
    pending=st.lists(st.sampled_from(GROUPS), unique=True).map(tuple),
    failure=st.none() | st.text(),
    failures=st.integers(0, 9),
    stalls=st.integers(0, 3),
    hand_over=st.none() | st.sampled_from(FACULTIES),
    done=st.booleans(),
    stop=st.just("finished"),
    submission=st.none() | st.text(),
)


@given(states, present_sets)
def test_it_leads_to_tools_that_wait_to_a_faculty_that_is_there_or_to_the_end(
    state: State, present: list[str]
) -> None:
    nodes = next_nodes(state, present)
    assert nodes
    assert set(nodes) <= {*present, *state["pending"], END}


@given(states, present_sets)
def test_tools_run_before_anything_else(state: State, present: list[str]) -> None:
    if state["pending"]:
        assert next_nodes(state, present) == list(state["pending"])


@given(states, present_sets)
def test_without_waiting_tools_one_node_follows_and_done_is_the_end(state: State, present: list[str]) -> None:
    quiet = State(**{**state, "pending": ()})
    assert len(next_nodes(quiet, present)) == 1
    assert next_nodes(State(**{**quiet, "done": True}), present) == [END]


@given(states, present_sets, st.integers(1, 5))
def test_only_failures_of_execute_lead_to_repair(state: State, present: list[str], after: int) -> None:
    quiet = State(**{**state, "pending": (), "done": False, "hand_over": None})
    led = next_nodes(quiet, present, repair_after=after) == ["repair"]
    failing = quiet["phase"] == "execute" and quiet["failures"] >= after
    assert led == ("repair" in present and (failing or quiet["phase"] == "repair"))


@given(st.sampled_from(ORDER), present_sets)
def test_an_absent_faculty_gives_way_to_the_next_in_order(wanted: str, present: list[str]) -> None:
    found = first_present(wanted, present)
    later = ORDER[ORDER.index(wanted) :]
    assert found == next((name for name in later if name in present), END)


@given(present_sets)
def test_an_episode_begins_with_the_first_faculty_there(present: list[str]) -> None:
    assert next_nodes(start_state(), present) == [first_present("explore", present)]

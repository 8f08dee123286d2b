"""Rules decide in order, and say which line is wrong."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from scaffold import Rule, Rules, ToolCall, View
from scaffold.oversight import ApproveAll, Ask, ByFunction, Decision, RulesFault, allow, may_ask

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.anyio

VIEW = View(trial="t", step=1, faculty="execute", messages=())
RULES = """\
default = "ask"

[[rule]]
tool = "read_*"
decision = "allow"

[[rule]]            # nothing is removed
tool = "shell"
match = 'rm\\s+-\\w*r'
decision = "deny"
reason = "nothing is removed here"

[[rule]]
match = "^/etc/shadow$"
decision = "abort"
"""


def called(name: str, **arguments: object) -> ToolCall:
    return ToolCall(id="c1", name=name, arguments=arguments)


@pytest.mark.parametrize(
    ("call", "verb", "reason"),
    [
        (called("read_file", path="/etc/shadow"), "allow", ""),
        (called("shell", command="cd /\nrm  -fr x"), "deny", "nothing is removed here"),
        (called("shell", command="ls"), "ask", "the default"),
        (called("write_file", path="/etc/shadow", content=""), "abort", "a rule about *"),
        (called("write_file", path="x", content={"deep": ["/etc/shadow"]}), "abort", "a rule about *"),
        (called("Read_file", path="x"), "ask", "the default"),
    ],
)
async def test_the_first_rule_that_fits_decides(call: ToolCall, verb: str, reason: str) -> None:
    decision = await Rules.from_text(RULES, name="r.toml")(call, VIEW)
    assert (decision.verb, decision.reason, decision.by) == (verb, reason, "rule")


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("default = 'allow'\nx y\n", "r.toml: .*line 2"),
        ("\ndefault = 'alow'\n", "r.toml:2: default: 'alow' is no decision, did you mean 'allow'"),
        (
            "[[rule]]\ndecision='deny'\n[[rule]]\n\ntol='x'\n",
            "r.toml:5: there is no 'tol' in rules, did you mean 'tool'",
        ),
        ("[[rule]]\ndecision='deny'\nmatch='a['\n", r"r.toml:3: match: 'a\[' is not a regular expression"),
        ("[[rule]]\ntool='shell'\n", "r.toml:1: the rule has no decision"),
        (
            "\n[[rule]]\ntool='x'\ndecision='dney'\n",
            "r.toml:4: decision: 'dney' is no decision, did you mean 'deny'",
        ),
        ("[[rule]]\ndecision='deny'\nreason=7\n", "r.toml:3: reason: 7 is no text"),
        ("[rule]\ndecision='deny'\n", "r.toml:1: rules are written as"),
        ("rules = 1\n", "r.toml:1: there is no 'rules' in rules, did you mean 'rule'"),
    ],
)
def test_what_is_wrong_is_named_with_its_line(text: str, said: str) -> None:
    with pytest.raises(RulesFault, match=said):
        Rules.from_text(text, name="r.toml")


def test_rules_come_from_a_file(tmp_path: Path) -> None:
    (tmp_path / "r.toml").write_text(RULES)
    rules = Rules.from_file(tmp_path / "r.toml")
    assert [rule.decision for rule in rules.rules] == ["allow", "deny", "abort"]
    with pytest.raises(RulesFault, match="No such file"):
        Rules.from_file(tmp_path / "none.toml")


def test_a_rule_in_python_is_checked_too() -> None:
    with pytest.raises(RulesFault, match="regular expression"):
        Rule(decision="deny", match="(")
    with pytest.raises(RulesFault, match="no decision"):
        Rule(decision="perhaps")  # type: ignore[arg-type]


def test_policies_say_whether_they_ask() -> None:
    assert may_ask(Ask())
    assert not may_ask(ApproveAll())
    assert not may_ask(Rules(rules=(Rule(decision="deny"),)))
    assert may_ask(Rules(rules=(Rule(decision="ask"),)))
    assert may_ask(Rules(rules=(), default="ask"))


def test_a_function_has_to_be_one_that_can_be_asked() -> None:
    async def one(call: ToolCall) -> Decision:
        del call
        return allow()

    with pytest.raises(TypeError, match="async function"):
        ByFunction(function=lambda _call, _view: None)  # type: ignore[arg-type,return-value]
    with pytest.raises(TypeError, match="a call and a view"):
        ByFunction(function=one)  # type: ignore[arg-type]

"""What a question leans on: the questions before it in the same conversation.

The rule is simple, so that it can be foreseen. A question is searched for as it stands. When that finds no evidence and
it has no more than a few telling words ("and for part-time staff?"), it is searched for once more together with the
question before it. A language model is shown the earlier questions besides, and never their answers, which are no
evidence.
"""

from __future__ import annotations

from collections.abc import Sequence
from importlib.resources import files

from ragindex_core.analysis import KeywordQuery
from ragindex_db.ledger import Turn

#: How far back a conversation is looked at.
TURNS = 5
_FEW_WORDS = 4


def leans(question: KeywordQuery, turns: Sequence[Turn]) -> bool:
    """Whether the question may be one that is understood only after the one before it."""
    return bool(turns) and len(question.words) <= _FEW_WORDS


def joined(question: str, turns: Sequence[Turn]) -> str:
    return f"{turns[-1].question}\n{question}"


class FollowUp:
    """The question as a language model is asked it."""

    def __init__(self) -> None:
        self._template = (files("ragindex_api") / "prompts" / "follow-up.md").read_text("utf-8").strip()

    def asked(self, question: str, turns: Sequence[Turn]) -> str:
        if not turns:
            return question
        earlier = "\n".join(f"- {' '.join(turn.question.split())}" for turn in turns)
        before, _, after = self._template.partition("{{earlier}}")
        return before.replace("{{question}}", question) + earlier + after

"""The glossary, and the life cycle of a modification."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from docs.reference_pages.markdown import MADE, page, table
from pfa_cli.glossary import terms
from pfa_core.model.life_cycle import TRANSITIONS
from pfa_core.model.modification import State


def glossary() -> str:
    """The terms of trade and program, and its closed sets of words."""
    return page(
        "# Glossary",
        MADE,
        "One line for each word; `pfa explain WORD` says the same. Fields, codes and rights are in the reference: "
        "[fields](reference/fields.md), [errors](reference/errors.md), [rights](reference/rights.md).",
        *_words("Terms", {word: terms.TERMS[word] for word in sorted(terms.TERMS, key=str.lower)}),
        *_words("States of a record in your list", terms.STATES),
        "Which follows which is drawn in the [life cycle](life-cycle.md).",
        *_words("Statuses of a run", terms.RUN_STATUSES),
        *_words("Actions of the audit trail", terms.ACTIONS),
    )


def _words(title: str, meanings: Mapping[Any, terms.Meaning]) -> Iterator[str]:
    yield f"## {title}"
    yield table(
        ("word", "means", "see"),
        (
            (str(word), meaning.means, f"`{meaning.next}`" if meaning.next[:4] == "pfa " else "")
            for word, meaning in meanings.items()
        ),
    )


def life_cycle() -> str:
    """States and verbs, as a table and as a drawing."""
    return page(
        "# The life cycle of a modification",
        MADE,
        "A modification is a stored delta: one user's changed fields over one record. *Pristine* is "
        "the absence of one. Users save, discard, commit, uncommit and resolve; the other verbs are "
        "those of the pusher, `pfa sync push`.",
        table(
            ("verb", "from", "to", "by", "guard beyond the state"),
            (
                (
                    f"**{step.verb}**",
                    ", ".join(map(_state, step.sources)),
                    ", ".join(map(_state, step.targets)),
                    step.by,
                    step.guard,
                )
                for step in TRANSITIONS.values()
            ),
        ),
        "```mermaid\nstateDiagram-v2\n" + "\n".join(_arrows()) + "\n```",
        "Everything from draft to conflict overlays the mirror in its user's view. A synced "
        "modification overlays nothing: PEMS has it, and so has the mirror. What is discarded, or "
        "settled because PEMS has all of its values by now or owns the fields, leaves only entries in "
        "the audit trail. `pfa undo` goes a user's own step back, and `pfa undo --redo` forth again, as long "
        "as nothing was sent.",
    )


def _state(state: State) -> str:
    return "*pristine*" if state is State.PRISTINE else str(state)


def _arrows() -> Iterator[str]:
    for step in TRANSITIONS.values():
        for source in step.sources:
            for target in step.targets:
                yield f"    {_node(source)} --> {_node(target)}: {step.verb}"


def _node(state: State) -> str:
    return "[*]" if state is State.PRISTINE else str(state)

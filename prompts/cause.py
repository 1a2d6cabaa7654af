"""Whether the cause that a reply names is the one that the memory's evidence bears."""

from __future__ import annotations

import re
from collections import Counter

from ..memory.confidence import Hypothesis
from ..memory.failure_types import LABELS, classify
from ..memory.incident import FailureType, normalise
from ..memory.index.tokens import terms
from ..memory.probability import Match
from .evidence import Draft

_SAME_CAUSE = 0.4
"""As between two root causes (`memory.causes`)."""
_SAME_CAUSE_IN_OTHER_WORDS = 0.6
"""The same where the hypothesis' words speak of another failure type. A judgment: the words must then do more to prove it."""
_SAME_CAUSE_OF_SAME_TYPE = 0.2
"""The same where both speak of the one failure type. A judgment: the type alone is what an invented cause shares, too."""
_BORROWED = 0.5
"""The share that may stand in the evidence, but in neither the causes, the alert, the leading incidents nor the failure
type: a true word of a step or of another incident makes another story here."""
_INVENTED = 0.3
"""The share of a hypothesis' terms that may stand in no evidence: room for other words, none for another story."""
_NOT = re.compile(
    r"\b(?:not|never|neither|nor|cannot|no longer|rather than|instead of|other than|unrelated|ruled out|excluded|denied|"
    r"disproved|unlike|false|untrue)\b|n't\b|^(?:the root cause is )?no\b"
)


def agrees(hypothesis: str, draft: Draft, told: frozenset[str]) -> bool:
    """Whether the hypothesis is the one that the confidence is of: denied nowhere, nearer to a cause of the LEADING
    incidents than to any other that was told, and mostly of words of theirs, the alert's and the failure type's. `told` is
    every term of the evidence."""
    assert draft.leading is not None
    causes = [cause for match in draft.leading.matches if (cause := match.incident.root_cause or "")]
    kind = draft.leading.failure_type
    named = classify(None, "", hypothesis)
    same_kind = named is kind and kind is not FailureType.OTHER
    if not causes:
        return same_kind
    denied = Counter(_NOT.findall(normalise(hypothesis).replace("’", "'")))
    if not any(denied <= Counter(_NOT.findall(normalise(cause).replace("’", "'"))) for cause in causes):
        return False
    mine = set(terms(hypothesis))
    for allowed, most in ((told, _INVENTED), (_bearing(draft), _BORROWED)):
        if len(invented := mine - allowed) > 1 and len(invented) > most * len(mine):
            return False
    theirs = {term for cause in causes for term in terms(cause)}
    others = [set(terms(cause)) - theirs for match in draft.told if (cause := _other_cause(match, draft.leading))]
    if any(len(mine & other) > len(mine & theirs) for other in others):
        return False
    shared = max(share(mine, set(terms(cause))) for cause in causes)
    if same_kind:
        return shared >= _SAME_CAUSE_OF_SAME_TYPE
    speaks_of_another = FailureType.OTHER not in {kind, named}
    return shared >= (_SAME_CAUSE_IN_OTHER_WORDS if speaks_of_another else _SAME_CAUSE)


def _other_cause(match: Match, leading: Hypothesis) -> str:
    return "" if match in leading.matches else match.incident.root_cause or ""


def _bearing(draft: Draft) -> set[str]:
    """The terms that a hypothesis about these incidents may be told in."""
    assert draft.leading is not None
    incidents = [draft.incident, *(match.incident for match in draft.leading.matches)]
    texts = [f"{one.service} {one.root_cause} {one.text}" for one in incidents]
    kind = draft.leading.failure_type
    return set(terms(normalise("\n".join([*texts, LABELS[kind], draft.book.mechanism, draft.prevention or ""]))))


def share(one: set[str], other: set[str]) -> float:
    """How much of the smaller set stands in the other, 0 to 1."""
    shorter = min(len(one), len(other))
    return len(one & other) / shorter if shorter else 0.0

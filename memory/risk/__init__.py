"""How dangerous a runbook step is: read-only, reversible or destructive.

`level` has the levels and what prose says, `reader` and `words` read a shell script into simple commands,
`shell` judges them, `rules` says what a rule is, `sql` reads SQL (sqlglot, imported on the first statement,
so that starting the server costs nothing), `batch` tells the statements of T-SQL apart, `javascript` reads
scripts of the MongoDB shell. The other modules are the tables of programs.

What is not understood is never read-only: an unknown program, a broken quote, a script that comes from a
variable.
"""

from __future__ import annotations

from .level import Risk, risk_of_prose, worst

__all__ = ["Risk", "risk_of"]


def risk_of(command: str | None, text: str = "") -> Risk:
    """The risk of a step.

    Args:
        command: what is to be run: a shell command or script, SQL, or a Redis command. None or
        blank where the step
            has none; then the verbs of `text` decide, and a text that says nothing is reversible.
        text: the prose of the step. Where the command runs something that cannot be judged, the
        prose may raise the
            risk; it never lowers one.

    Any text is accepted, placeholders such as `<pod>` included; it never raises. The risk of a compound
    is the
    highest of its parts. Commands over 16 kB are judged by their words alone.
    """
    if command is None or not command.strip():
        return risk_of_prose(text)
    from .shell import judge_command

    risk, understood = judge_command(command)
    if not understood and text.strip():
        return worst(risk, risk_of_prose(text))
    return risk

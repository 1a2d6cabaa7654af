"""What of a text has to be the same for it to repeat another: all but what is new each time the same thing is told.

An incident that is taken for a repeat is not stored. So what may differ is named here, and whatever else differs makes it another
incident: a word, a host, a shard's number, the letter of an endpoint.
"""

from __future__ import annotations

import re
import unicodedata

from .alert_fields import CHANGING, MONTHS, OF_REPLICA, STATE, words

_MONTH = rf"(?:{MONTHS})\.?"
_CLOCK = r"\d{1,2}:\d\d(?::\d\d(?:[.,]\d{1,9})?)?(?: ?[ap]m)?(?: ?(?:utc|gmt|cest|cet|z|[+-]\d\d:?\d\d))?(?: 20\d\d)?"
_NUMBER = r"(?:\d{1,3}(?:,\d{3}){1,4}(?:\.\d+)?|\d+(?:[.,]\d+)?)"
_BEFORE, _BEHIND = r"(?<![\w.,:/#-])", r"(?![\w/-]|[.:]\w)"
_MEASURED = (
    rf"(?![45]\d\ds)[-+~]?{_NUMBER}(?: ?(?:%|percent|ms|msec|milliseconds?|secs?|seconds?|sekunden?|mins?|minutes?|minuten?|hrs?|hours?|stunden?"
    rf"|days?|tagen?|weeks?|[kmgt]i?b|bytes?|[kmgt]i?b/s)| [sh]|[smhdkgt]|[kmgt]i)"
)
_STAMP = rf"20\d\d[-./]\d\d[-./]\d\d[t ]{_CLOCK}|{_MONTH} \d{{1,2}},? 20\d\d,?(?: at)? {_CLOCK}|(?:since|seit) {_CLOCK}"
_NOISE_OF_PEOPLE = re.compile(rf"{_BEFORE}(?:{_STAMP}|{_MEASURED}){_BEHIND}")
"""Time stamps to the minute, since when it is so, percentages, durations and sizes, of a text in lower case. A date, an hour or an id
may be what a person tells two incidents apart by: the backup of a day, an order."""

_NOISE = re.compile(
    rf"{_BEFORE}(?:"
    rf"20\d\d[-./]\d\d[-./]\d\d(?:[t ]{_CLOCK})?|\d{{1,2}}[./]\d{{1,2}}[./]20\d\d|{_CLOCK}|1[6-9]\d{{8}}(?:\d{{3}}){{0,3}}"
    rf"|(?:(?:mon|tues?|wed(?:nes)?|thu(?:rs)?|fri|sat(?:ur)?|sun)(?:day)?,? )?"
    rf"(?:{_MONTH} \d{{1,2}}(?:st|nd|rd|th)?|\d{{1,2}}(?:st|nd|rd|th|\.)? {_MONTH})(?:,? 20\d\d)?"
    rf"|{_MEASURED}|[-+~]?{_NUMBER} ?(?:rps|qps|/s)"
    rf"|(?:trace|span|request|correlation|event|message|transaction)[ _-]?id[\"']?[:= ]{{1,3}}[\"']?(?=[\w-]*\d)[\w-]{{6,64}}"
    rf"){_BEHIND}"
)
"""Of what a machine wrote, also times, dates, rates, and the ids of a single request."""

_QUERY = re.compile(r"(https?://[^\s?#]{1,300})[?#]\S*")
_QUERIED = re.compile(rf"\b[a-z]\d?=[-+]?{_NUMBER}(?:e[+-]?\d+)?(?![\w.-])")
"""What Grafana has of a query: `A=93.2`."""

_TOKEN = re.compile(r"[\[({|<>]|[^\s\[\](){}|<>=;,\"`*]+")
_FIGURE = re.compile(rf"[-+~]?{_NUMBER}(?:e[+-]?\d+)?(?:/\d+)?(?:crit|warn|ok)?")
_ENDS = tuple(".!?")

_HARMLESS = words("the an is are again still")
_BEFORE_FIGURES = words(
    "of is was are were be above below over under than at by has have had reached exceeds exceeded about only last for within "
    "currently now almost nearly exactly total average avg mean max min measured"
)
"""Words after which a number is a figure and not a name, as it is in `shard 7`, `code 137` or `release 4.17`."""


def gist(text: str, measured: bool) -> tuple[str, ...]:
    """The words, names and numbers by which a text is known again, in their order. Time stamps, durations, percentages, sizes and the
    hash of a pod's name are none of them, nor in an alert dates, hours and rates.

    Args:
        measured: whether a machine writes figures into the text, so that a number that names nothing is one of these.
    """
    text = (text if text.isascii() else unicodedata.normalize("NFKC", text)).casefold()
    text = (
        _NOISE.sub(" | ", _QUERIED.sub(" | ", _QUERY.sub(r"\1", text)))
        if measured
        else _NOISE_OF_PEOPLE.sub(" | ", text)
    )
    found: list[str] = []
    for line in text.splitlines():
        before = ""
        for token in _TOKEN.findall(line):
            bare = OF_REPLICA.sub("", token.strip(".:!?'~_"))
            if token in ("<", ">") or (not bare.isascii() and not any(map(str.isalnum, bare))):
                found.append(token)  # more than, less than; a red or a green mark
                before = ""
            elif not any(map(str.isalnum, bare)):
                before = ""
            elif _FIGURE.fullmatch(bare):
                if not (measured and _is_before_figures(before)):
                    found.append(f"{before} {bare}".strip())
            else:
                if bare not in _HARMLESS:
                    found.append(bare)
                before = "" if token.endswith(_ENDS) and bare not in ("no", "nr") else bare
    return tuple(found)


def _is_before_figures(word: str) -> bool:
    name = "".join(filter(str.isalnum, word))
    return not word or word in _BEFORE_FIGURES or bool(STATE.fullmatch(word) or CHANGING.fullmatch(name))

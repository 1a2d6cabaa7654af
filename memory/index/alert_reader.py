"""Reads the fields of a text, be it lines, pairs or JSON."""

from __future__ import annotations

import re
from collections import Counter
from typing import Any

from .alert_fields import (
    CHANGING,
    CONTENT,
    LINE,
    LISTED,
    LISTS,
    MACHINES,
    MARKUP,
    OBSERVED,
    OF_REPLICA,
    OF_SCRAPER,
    ONCE,
    PAIR,
    PLACES,
    RULES,
    SECTIONS,
    SENTENCES,
    SUBJECTS,
    is_envelope,
    is_link,
    plain,
)  # fmt: skip
from .alert_json import Objects
from .somebody import Field, beyond, figures_beyond, is_foreign, is_prose
from .tokens import terms
from .vendors import DATADOG, MESSAGES, PAYLOADS, PLACE, STARS, Form, form_of, leaves

_DEEPEST = 50
"""How deep JSON is read."""

_MOST_OPENED, _MOST_NESTED = 200, 2
"""Texts within a text that are read, and how deep one may lie within another."""

_LEAST_FIELDS, _LEAST_ENVELOPE, _LEAST_SHARE = 3, 2, 1 / 3
"""Fields with a known name, those of an envelope among them, and their share of the lines, from which on a text is read as an
alert's: "Region: EU" alone is somebody's sentence, and a runbook that quotes a rule is no alert."""

_ENOUGH = 200
"""Lines after which a text that is no alert's so far is read no further."""

_NAME = 40
"""Characters within which the name of a field ends."""

_MOST_WORDS, _FEW_WORDS = 12, 2
"""Words of an envelope's field, beyond which it is kept; and of a field that a form does not name, beyond which somebody wrote it."""

_STARS = re.compile(r"\*{3,} ?([^*]{1,100}?) ?\*{3,}")
_FENCE = re.compile(r"`{3,}\w{0,20}")
_QUOTE = "%%%"
"""What Datadog puts before and after the text of a monitor."""

_MONITOR_ID = re.compile(r"\[Monitor Status\]\(https://[\w.-]{1,60}/monitors[/#](\w{1,20})")
_LINKED = re.compile(r"\[[^\[\]]{0,200}\]\([^()\s]{0,2000}\)")
_TRIGGERED = re.compile(r"The monitor was last triggered at .{10,60}|(?:- ?)+")
_TAGGED = re.compile(r"\[[\w -]{2,20} on \{([^{}]{3,400})\}\] ?(.{1,300})")
_TAG = re.compile(r"([A-Za-z@][\w.@-]{0,60}):([^,\s]{1,200})")


class Reader:
    """Reads the fields of a text.

    Args:
        nested: how deep the text lies within another.
    """

    def __init__(self, nested: int = 0) -> None:
        self.lines: list[str] = []
        self.envelope = self.content = 0
        self.places: set[str] = set()
        self.decoded = False
        self._form: Form | None = None
        self._nested, self._opened, self._awaits = nested, 0, False
        self._labels: dict[str, set[str]] = {}
        self._seen: Counter[str] = Counter()
        self._rules: dict[str, list[str]] = {}
        self._named: list[str] = []
        self._own, self._title, self._section, self._tagged = 0, "", "", ""
        self._dropped: list[str] = []
        self._apart: set[int] = set()
        self._written: list[tuple[int, Field]] = []
        self._manners: set[str] = set()
        self._given: dict[str, list[str]] = {}
        self._each = 1

    def read(self, text: str) -> None:
        """Read it line by line; what is JSON as that."""
        objects, at = Objects(text), 0
        quoted = self._before(text)
        while at < len(text):
            end = text.find("\n", at)
            line = text[at:] if end < 0 else text[at:end]
            bare = line.lstrip()
            if (found := objects.at(at + len(line) - len(bare))) is not None:
                value, at = found
                self.decoded = True
                self._payload(value)
                self._own += objects.twice  # somebody has written it
                continue
            if at in quoted:
                self._quoted(line.strip())
            elif bare:
                self._line(line.strip())
            if len(self.lines) >= _ENOUGH and not self.is_alert:
                return
            at += len(line) + 1

    @property
    def is_alert(self) -> bool:
        """Whether what was read is an alert's."""
        fields = self.envelope + self.content
        known = self._form is not None or self.envelope >= _LEAST_ENVELOPE
        return known and fields >= max(_LEAST_FIELDS, _LEAST_SHARE * len(self.lines))

    def text(self) -> str:
        """What is left without the envelope. Where a vendor's form is known, no line stands there twice, nor a title that adds nothing."""
        lines = self.lines
        if self._form is not None:
            title = self._title and self.rule() and not figures_beyond(self._title, self._said())
            lines = [line for line in dict.fromkeys(lines[1:] if title else lines) if not _FENCE.fullmatch(line)]
        return "\n".join(filter(None, lines)).strip()

    def rule(self) -> str | None:
        """The name of the rule that wrote all of it; of several, all their names."""
        form = self._form
        if self._own or not (form or self._seen.keys() & MACHINES):
            return None
        said = self._said()
        apart = self._apart.union(self._foreign(), {0} if self._title else ())
        alone = not any(beyond(self.lines[at], said) for at in apart)
        names = self._named or next((self._rules[name] for name in RULES if name in self._rules), [])
        if not names and form in MESSAGES and "host" in self._labels:
            names = [f"host of {form.name}"]  # that it does not answer
        return ", ".join(sorted(set(names))) if alone and names else None

    def labels(self) -> dict[str, str]:
        """The labels without those of who watches; where nothing says that a machine wrote them, those with known names. Of a group
        of alerts, a label's values are one after the other."""
        known = {label: " ".join(sorted(values)) for label, values in self._labels.items()}
        if self._form is None and not self._seen.keys() & MACHINES:
            known = {label: value for label, value in known.items() if label in SUBJECTS}
        foreign = {label for label in ("service", "job", "app") if OF_SCRAPER.search(known.get(label, ""))}
        if any("kube-state" in known[label] for label in foreign):
            foreign.add("instance")
        return {label: value for label, value in known.items() if label not in foreign}

    def _said(self) -> set[str]:
        """The terms of the fields, of the labels' names, of what was dropped, and of what the form's titles say."""
        first, foreign = bool(self._title), self._foreign()
        apart = self._apart | foreign
        lines = (line for at, line in enumerate(self.lines) if at >= first and at not in apart)
        added = {its.name for at, its in self._written if at in foreign}
        labels = (word for label, values in self._labels.items() if label not in added for word in (label, *values))
        form = self._form.words if self._form else ()
        return set(terms(" ".join([*lines, *labels, *self._named, *self.places, *self._dropped, *form])))

    def _foreign(self) -> set[int]:
        """The lines of fields that a rule does not write so."""
        named = bool(self._seen.keys() & {"alertname", "alarmname", "problemname"})
        return {at for at, its in self._written if is_foreign(its, self._form is not None, self._manners, named)}

    def _before(self, text: str) -> range:
        """Find the form of lines that a text has; and where in it Datadog quotes a monitor."""
        first, last = text.find(_QUOTE), text.rfind(_QUOTE)
        if 0 <= first < last and (found := _MONITOR_ID.search(text, first, last)):
            self._form, self._named = DATADOG, [f"monitor {found[1]}"]
            return range(first, last + 1)
        fields: dict[str, str] = {}
        given: Counter[str] = Counter()
        for line in map(str.strip, text.split("\n", _ENOUGH)[:_ENOUGH]):
            if ":" in line[:_NAME] and (found := LINE.fullmatch(line)):
                name, value = plain(found[2]), found[4].strip(MARKUP)
            elif found := _STARS.fullmatch(line):
                name, value = STARS, found[1]
            else:
                continue
            given[name] += 1
            fields.setdefault(name, value)
        self._form = form_of(MESSAGES, fields)
        self._each = min((given[name] for name in self._form.marks), default=1) if self._form else 1
        return range(0)

    def _quoted(self, line: str) -> None:
        """Take a line of a monitor's own text: all but its links."""
        bare = _LINKED.sub("", _LINKED.sub("", line)).strip("[]!%·| ") if "](" in line else line.strip("%")
        if bare and not _TRIGGERED.fullmatch(bare):
            self.content += 1
            self.lines.append(line)
        else:
            self.envelope += 1

    def _line(self, line: str) -> None:
        if not self.lines and (tagged := _TAGGED.fullmatch(line)):
            self._form = self._form or DATADOG
            self.envelope += _LEAST_FIELDS  # nobody writes such a title
            self._tags(tagged[1])
            self._name(tagged[2])
            self._tagged = tagged[2]
            return
        if (stars := _STARS.fullmatch(line)) and self._of_message(STARS, stars[1]):
            return
        found = LINE.fullmatch(line)
        name = plain(found[2]) if found else ""
        if found and self._of_message(name, found[4].strip(MARKUP)):
            return
        if self._awaits and line:
            self._awaits = False
            self.lines.append(line)
            return
        listed = bool(found and found[1]) or self._section in LISTS
        if found and self._field(name, found[4].strip(MARKUP), found[3], listed):
            return
        if len(pairs := list(PAIR.finditer(line))) > 1 and not PAIR.sub("", line).strip():
            for pair in pairs:
                self._take(pair[1], pair[2].strip('"'), "=")
        elif line.strip(MARKUP + "#:[]{},"):
            self._section, before = plain(line), self._section
            if self._section in SECTIONS or SENTENCES.fullmatch(line) or is_link(line):
                self._dropped.append(line)
                return
            if self._form is not None and is_link(line, ()):
                return
            if _FENCE.fullmatch(line):
                self.lines.append(line)
                return
            if not self.lines:
                self._title = line
            elif (
                found
                and (found[1] or before in LISTS)
                and found[3] == "="
                and " " not in found[2]
                and len(found[4].split()) < 3
            ):
                self._section = before
                self._label(name, found[4])  # of the user's own rules
            elif self._form is not None:
                self._apart.add(len(self.lines))
            else:
                self._own += len(terms(line))
            self.lines.append(line)

    def _payload(self, value: Any) -> None:
        """Take what JSON held."""
        fields = list(leaves(value))
        values: dict[str, str] = {}
        for path, _, its in fields:
            values.setdefault(path, its)
        form = form_of(PAYLOADS, values)
        if form is None:
            before = sum(self._seen[name] for name in MACHINES)
            self._structure("", value, 0, False)
            self._own += before == sum(self._seen[name] for name in MACHINES)  # a record, which no rule writes
            return
        self._form = form
        self._own += any(values.get(path) == its for path, its in form.person.items())
        for path, name, its in fields:
            if not self._of_form(path, its):
                self._take(name, its, listed=True)
                self._own += len(its.split()) > _FEW_WORDS and not form.is_free(path)

    def _of_message(self, name: str, value: str) -> bool:
        """Take a field of a line as the form of the text has it; whether it has it, and not once more than it has its marks."""
        form = self._form
        if form is None or form not in MESSAGES:
            return False
        given = self._given.setdefault(name, [])
        given.append(value)
        if len(given) <= self._each:
            return self._of_form(name, value)
        self._own += form.speaks(name) and value not in given[:-1]
        return False

    def _of_form(self, path: str, value: str) -> bool:
        """Take a field as the form of the text has it; whether it has it."""
        form = self._form
        if form is None:
            return False
        self.content += 1
        if path in form.rule:
            tagged = _TAGGED.fullmatch(value)
            if tagged:
                self._tags(tagged[1])
            rule = tagged[2] if tagged else value
            self._own += self._tagged not in ("", rule)  # somebody has changed the title
            self._name(rule)
            if path in form.labels:
                self._labelled(form.labels[path], value)
        elif path in form.labels:
            self._labelled(form.labels[path], value)
            self.lines += [value] if form.labels[path] != PLACE else []
        elif path in form.tags:
            self._tags(value)
        elif path in form.opens:
            self._open(value)
        elif path in form.says:
            self.lines += [value] if value else []
            self._awaits = not value
        elif form.is_envelope(path) and len(value.split()) <= _MOST_WORDS:
            self.envelope += 1
            self._dropped.append(value)
        else:
            self.content -= 1
            return False
        return True

    def _name(self, rule: str) -> None:
        if self._named and self._named[0].startswith("monitor "):
            self._named.clear()  # the name of it is better
        self._named.append(rule.casefold())
        self.lines.append(rule)

    def _tags(self, text: str) -> None:
        for tag in _TAG.finditer(text):
            if plain(tag[1]) in PLACES:
                self.places.add(tag[2].casefold())
            else:
                self._label(plain(tag[1]), tag[2])
        self.lines.append(text)

    def _open(self, text: str) -> None:
        """Take a text within the text: as an alert, where it is one to which nobody has added a word."""
        self._opened += 1
        inner = Reader(self._nested + 1)
        if self._nested < _MOST_NESTED and self._opened <= _MOST_OPENED:
            inner.read(text)
        name = inner.rule()
        if name is None:
            self.lines.append(text)
            return
        have = set(self.lines)
        self.lines += [line for line in inner.lines if line not in have]
        self.places |= inner.places
        self._named = self._named or [name]
        for label, values in inner._labels.items():
            self._labels.setdefault(label, set()).update(values)

    def _structure(self, name: str, value: Any, depth: int, listed: bool) -> None:
        if isinstance(value, dict | list) and depth < _DEEPEST:
            listed = listed or plain(name).endswith(LISTED)
            for key, its in value.items() if isinstance(value, dict) else ((name, its) for its in value):
                self._structure(key, its, depth + 1, listed)
        elif value is not None:
            self._take(name, str(value) if depth < _DEEPEST else "", listed=listed)

    def _take(self, name: str, value: str, manner: str = "{", listed: bool = False) -> None:
        """Take a field of a pair or of JSON, whatever its name."""
        if not self._field(plain(name), value, manner, listed):
            self._own += not listed and is_prose(value)
            self._label(plain(name), value)
            self.lines.append(f"{name} {value}".strip())

    def _field(self, name: str, value: str, manner: str, listed: bool) -> bool:
        """Take a field with a known name; whether it was one."""
        if is_envelope(name, value):
            self.envelope += 1
            self._dropped.append(value)
            if name in PLACES:
                self.places.add(value.casefold())
        elif name in SECTIONS and not value:
            self.content += 1
        elif name in CONTENT:
            self.content += 1
            self._written.append((len(self.lines), Field(name, value, manner, listed)))
            self.lines.append(value)
            if name in RULES:
                self._rules.setdefault(name, []).append(value.casefold())
            if name in OBSERVED or (name in ONCE and self._seen[name] > max(0, self._seen["alertname"] - 1)):
                self._own += len(terms(value))
            self._label(name, OF_REPLICA.sub("", value) if name == "pod" else value)
        else:
            return False
        if name in MACHINES:
            self._manners.add(manner)
        self._seen[name] += 1
        return True

    def _label(self, name: str, value: str) -> None:
        if (len(value.split()) == 1 or name == "dimensions") and name not in OBSERVED and not CHANGING.fullmatch(name):
            short = name.removesuffix("name")
            self._labelled(short if self._form is not None and short in SUBJECTS else name, value)

    def _labelled(self, label: str, value: str) -> None:
        if label == PLACE:
            self.places.add(value.casefold())
            return
        self._labels.setdefault(label, set()).add(value.casefold())

"""What a user may rely on when importing a tracker's table."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import pytest
from importers.reading import one, read

from incidentos.memory.errors import ImportFailed
from incidentos.memory.importers import importer_for
from incidentos.memory.importers.csv import COLUMNS
from incidentos.memory.incident import Outcome, Provenance, Resolution, Status, Step
from incidentos.memory.record import to_record

SERVICENOW = (
    "Number;Short description;Description;CMDB CI;Priority;State;Opened-At;Closed_at;Close notes\n"
    'INC0027946;Pool exhausted;"two\nlines";auth;1 - Critical;Closed;'
    "2026-05-03 02:14;2026-05-03 03:00:30;Restarted\n"
    "INC0027947;Slow;;auth;2 - High;In Progress;2026-05-04 02:14:00;;\n"
)


def test_a_servicenow_export_is_read(table: Callable[..., Path]) -> None:
    """Columns are known under the names that trackers give them, in any case, with spaces or hyphens."""
    incidents, bad = read(table(SERVICENOW))
    assert bad == []
    first, second = incidents
    assert (first.id, first.title, first.description) == ("INC0027946", "Pool exhausted", "two\nlines")
    assert (first.service, first.severity, first.status) == ("auth", "1 - Critical", Status.RESOLVED)
    assert first.created_at == datetime(2026, 5, 3, 2, 14, tzinfo=UTC)
    assert first.resolved_at == datetime(2026, 5, 3, 3, 0, 30, tzinfo=UTC)
    assert first.resolution == Resolution(None, (Step("Restarted", None, Outcome.UNKNOWN),), None, Provenance.IMPORTED)
    assert (second.status, second.resolution, second.resolved_at, second.description) == (
        Status.OPEN,
        None,
        None,
        "",
    )


def test_a_jira_export_is_read(table: Callable[..., Path]) -> None:
    """A mere Done or Unresolved in the column Resolution is no mitigation; repeated columns do no harm."""
    incidents, bad = read(
        table(
            "Issue key,Issue id,Summary,Status,Priority,Resolution,Created,Resolved,Comment,Comment\n"
            "OPS-1,1,Disk full,Done,High,Done,2026-05-03T02:14:00.000+0000,2026-05-03,a,b\n"
            "OPS-2,2,Disk full again,To Do,High,Unresolved,2026-05-04T02:14:00.000+0000,,,\n"
            "OPS-3,3,Disk full,Done,High,Grew the volume,2026-05-05,,,\n"
        )
    )
    assert bad == []
    assert [i.id for i in incidents] == ["OPS-1", "OPS-2", "OPS-3"]
    assert [i.status for i in incidents] == [Status.RESOLVED, Status.OPEN, Status.RESOLVED]
    assert [i.resolution is None for i in incidents] == [True, True, False]


def test_pagerduty_and_opsgenie_headers_are_known(table: Callable[..., Path]) -> None:
    """Their names for the columns fit too."""
    duty = one(
        table(
            "incident_number,title,urgency,status,service_name,created_on,html_url\n7,T,high,triggered,S,2026-01-01,u\n"
        )
    )
    assert (duty.id, duty.severity, duty.service, duty.url, duty.status) == (
        "7",
        "high",
        "S",
        "u",
        Status.OPEN,
    )
    genie = one(table("AlertId,Message,Priority,Status,CreatedAt\nx-1,T,P1,closed,2026-01-01\n"))
    assert (genie.id, genie.title, genie.severity, genie.status) == ("x-1", "T", "P1", Status.RESOLVED)
    assert genie.created_at is not None


@pytest.mark.parametrize("delimiter", [",", ";", "\t", "|"])
@pytest.mark.parametrize("mark", [b"", b"\xef\xbb\xbf"])
@pytest.mark.parametrize("end", ["\n", "\r\n"])
def test_the_delimiter_and_the_byte_order_mark_are_found_out(
    delimiter: str, mark: bytes, end: str, table: Callable[..., Path]
) -> None:
    """Commas, semicolons, tabs and bars are told by the header, whatever stands in the cells or the file's
    name."""
    rows = [["Title", "ID", "Description"], ["Störung", "a1", '"a, b; c | d\t""e"""']]
    text = end.join(delimiter.join(row) for row in rows)
    incident = one(table(mark + text.encode(), name="export.txt"))
    assert (incident.id, incident.title, incident.description) == ("a1", "Störung", 'a, b; c | d\t"e"')


@pytest.mark.parametrize("field", sorted(COLUMNS))
def test_every_accepted_column_name_is_read(field: str, table: Callable[..., Path]) -> None:
    """A column is found under each of the names that the error message offers."""
    value = {
        "category": "latency",
        "failure_type": "latency",
        "provenance": "inferred",
        "status": "closed",
    }.get(field, "2026-01-02" if field.endswith("_at") else "said")
    others = {"title": "t", "description": "d", "cause": "c", "status": "open", "id": "i"}
    for alias in COLUMNS[field]:
        row = {name: other for name, other in others.items() if name not in COLUMNS[field]} | {alias: value}
        found = to_record(one(table(f"{','.join(row).upper()}\n{','.join(row.values())}\n")))
        expected = "resolved" if field == "status" else value
        assert f'"{expected}' in json.dumps(found), alias


def test_of_several_columns_for_one_thing_the_first_filled_one_counts(table: Callable[..., Path]) -> None:
    """An empty severity falls back to the priority of the row."""
    incidents, _ = read(table("id,title,priority,severity\na,t,P1,\nb,t,P1,SEV2\n"))
    assert [incident.severity for incident in incidents] == ["P1", "SEV2"]


def test_bad_rows_of_a_table_bear_the_line_they_begin_on(table: Callable[..., Path]) -> None:
    """Lines are those that an editor shows, also behind cells of several lines and blank rows."""
    incidents, bad = read(
        table(
            "id,title,created_at\n"
            'a,"two\nlines",\n'
            "\n"
            "b,too,many,cells\n"
            ",,\n"
            "few\n"
            "c,t,05/03/2026 02:14\n"
            'd,"x"y,\n'
            'e,"three\n\nlines",2026-05-03 02:14\n'
            "f,,\n"
        )
    )
    assert [incident.id for incident in incidents] == ["a", "e"]
    assert [row.line for row in bad] == [5, 7, 8, 9, 13]
    reasons = [row.reason for row in bad]
    assert "4 cells where the header has 3" in reasons[0]
    assert "1 cells where the header has 3" in reasons[1]
    assert "ISO 8601" in reasons[2]
    assert "doubled" in reasons[3]
    assert "neither a title nor a description" in reasons[4]


def test_a_quotation_mark_that_is_never_closed_is_told(table: Callable[..., Path]) -> None:
    """It never makes one incident of the rest of the file: what came before is kept, and the row is named."""
    incidents, bad = read(table('id,title\na,t\nb,"open\nc,t\nd,t\n'))
    assert [incident.id for incident in incidents] == ["a"]
    assert bad[0].line == 3
    assert "never closed" in bad[0].reason


def test_huge_cells_are_read_or_refused_one_by_one(table: Callable[..., Path]) -> None:
    """A cell far beyond Python's limit of 131,072 characters is read; one of over a million is one bad
    row."""
    incidents, bad = read(table(f"id,title,description\na,t,{'x' * 900_000}\nb,t,{'x' * 1_500_000}\nc,t,d\n"))
    assert [(incident.id, len(incident.description)) for incident in incidents] == [("a", 900_000), ("c", 1)]
    assert [row.line for row in bad] == [3]


def test_a_table_cleans_its_cells(table: Callable[..., Path]) -> None:
    """NUL bytes and control characters do not cost the row."""
    assert one(table("id,title\na,x\x00y\x07\n")).title == "x\ufffdy\ufffd"


def test_a_table_without_a_title_or_a_description_is_refused(table: Callable[..., Path]) -> None:
    """The message lists the columns that were found and those that would do."""
    with pytest.raises(ImportFailed, match=r"'Foo', 'Severity'.*short_description"):
        read(table("Foo,Severity\n1,2\n"))


def test_a_table_that_is_not_utf8_is_refused_before_anything_is_imported(table: Callable[..., Path]) -> None:
    """The message names the line and how to convert the file."""
    path = table(b"id,title\na,t\nb,St\xf6rung\n")
    with pytest.raises(ImportFailed, match=r"not UTF-8 \(line 3\).*iconv -f WINDOWS-1252"):
        next(iter(importer_for(path).read(path, Status.OPEN)))
    with pytest.raises(ImportFailed, match="not UTF-8"):
        read(table(b"id,title\na,t\xc3", name="cut.csv"))


def test_a_table_whose_header_cannot_be_read_is_refused(table: Callable[..., Path]) -> None:
    """A header row with a misplaced quotation mark is no header."""
    with pytest.raises(ImportFailed, match="header"):
        read(table('id,"title"x,description\na,t,d\n'))


def test_a_table_with_a_header_alone_has_no_incidents(table: Callable[..., Path]) -> None:
    """It is not an error."""
    assert read(table("id,title\n")) == ([], [])

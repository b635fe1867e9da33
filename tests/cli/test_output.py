"""What commands print: tables, JSON and errors."""

import json
import sys

from sigil.cli import output
from sigil.errors import SigilError, StoreError


def test_a_table_is_tab_separated_in_a_pipe(capsys):
    output.print_table(("a", "b"), [("x\ty", "[red]1[/red]"), ("\x1b[2J", 2)])
    assert capsys.readouterr().out == "a\tb\nx\\ty\t[red]1[/red]\n\\x1b[2J\t2\n"


def test_a_table_is_drawn_on_a_terminal(capsys, monkeypatch):
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True)
    output.print_table(("name", "state"), [("[bold]x", "ok"), ("\x1b[2J", "fail")])
    drawn = capsys.readouterr().out
    assert "[bold]x" in drawn
    assert "\\x1b[2J" in drawn
    assert "\t" not in drawn


def test_json_is_one_line_in_a_pipe(capsys):
    output.print_json({"a": ["ä"]})
    assert capsys.readouterr().out == '{"a": ["ä"]}\n'


EVIL = "a\x1b]0;title\x07\x1b[2J\x9b2J \u202eknil\u202c\u2028"


def test_no_line_can_control_the_terminal(capsys):
    output.print_line(f"1\n\t{EVIL}")
    output.print_warning(EVIL)
    output.print_json({"a": EVIL})
    seen = capsys.readouterr()
    line, _, as_json = seen.out.rpartition("\n\t")[2].partition("\n")
    assert line == seen.err.rstrip("\n") == EVIL.encode("unicode_escape").decode()
    assert json.loads(as_json) == {"a": EVIL}
    assert not set(EVIL) & set("\x1b\x9b\u202e\u2028") & set(seen.out)


def test_an_error_cannot_control_the_terminal(capsys):
    output.print_error(SigilError("line 1\nline 2 \x1b]0;title\x07\x1b[2J \u202eknil\u202c"))
    assert capsys.readouterr().err == (
        "error: line 1\nline 2 \\x1b]0;title\\x07\\x1b[2J \\u202eknil\\u202c\n"
    )


def test_a_store_error_says_what_looks_into_it(capsys):
    output.print_error(StoreError("Redis did not answer."))
    assert capsys.readouterr().err == (
        "error: Redis did not answer. `sigil doctor` looks into it.\n"
    )

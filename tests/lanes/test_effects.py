"""Entries of the audit log."""

from __future__ import annotations

import json

from sigil.lanes.effects import encode_audit_entry


def test_an_entry_begins_with_what_happened() -> None:
    entry = encode_audit_entry("refused", message="m1", why="workspace.not_a_member")
    facts = {"what": "refused", "message": "m1", "why": "workspace.not_a_member"}
    assert list(json.loads(entry).items()) == list(facts.items())

"""Each rule of the two channel suites bites: a channel that breaks it fails at that test alone."""

from __future__ import annotations

import re
import subprocess
import sys

import pytest

from tests.contracts.channel_mutants import PREFIX
from tests.contracts.listener_mutants import LISTENERS
from tests.contracts.sender_mutants import SENDERS
from tests.workers.stack import ROOT

CONTRACTS = ROOT / "tests/contracts"
FILES = (CONTRACTS / "test_sender_contract.py", CONTRACTS / "test_listener_contract.py")
IN_ORDER = "messages_come_in_once_and_in_order"
UNKNOWN = "what_may_have_arrived_is_unknown"
PAUSE = "a_pause_that_the_platform_asks_for_is_told"
REPEAT = "a_key_makes_a_repeat_safe"
LOCKED = "an_account_that_is_refused_says_what_to_do"
LISTENING = {
    IN_ORDER,
    "what_was_not_accepted_comes_again",
    "after_a_restart_nothing_is_lost_or_new",
    "an_edit_names_the_message_that_it_changes",
    "its_own_words_are_not_heard",
}
EXPECTED = {
    "sound": set(),
    "nameless": {"it_is_a_sender"},
    "shows_its_secret": {"it_is_a_sender"},
    "reorders": {"what_is_sent_arrives_in_order"},
    "gives_one_id_twice": {"what_is_sent_arrives_in_order"},
    "repeats": {REPEAT},
    "renames_repeats": {REPEAT},
    "forgets_the_pause": {PAUSE},
    "thinks_that_busy_is_unknown": {PAUSE},
    "sends_while_busy": {PAUSE},
    "thinks_that_away_is_unknown": {"what_cannot_have_arrived_is_not_unknown"},
    "thinks_that_cut_is_known": {UNKNOWN},
    "thinks_that_broken_is_known": {UNKNOWN},
    "repeats_the_unknown": {UNKNOWN},
    "keeps_the_chat_open": {"a_chat_that_is_gone_is_closed"},
    "tries_again_when_gone": {"a_chat_that_is_gone_is_closed"},
    "gives_no_hint": {LOCKED},
    "blames_the_message": {LOCKED},
    "tells_its_secret": {LOCKED},
    "gives_markup_up": {"markup_that_is_refused_may_be_tried_as_plain_text"},
    "refuses_long_texts": {"the_longest_text_is_taken"},
    "edits_by_appending": {"an_edit_takes_the_place_of_a_message"},
    "refuses_same_edits": {"an_edit_takes_the_place_of_a_message"},
    "finds_nothing": {"what_was_sent_can_be_looked_up"},
    "finds_everything": {"what_was_sent_can_be_looked_up"},
    "swallows_cancellation": {"a_send_can_be_cancelled"},
    "closes_once": {"it_can_be_closed_twice"},
    "takes_another_address": {IN_ORDER},
    "thinks_that_it_is_a_group": {IN_ORDER},
    "hears_nobody_call": {IN_ORDER},
    "takes_people_for_bots": {IN_ORDER},
    "takes_words_for_commands": {IN_ORDER},
    "scrambles": {IN_ORDER},
    "takes_the_third_twice": {IN_ORDER},
    "notes_too_early": {"what_was_not_accepted_comes_again"},
    "starts_anew": {"after_a_restart_nothing_is_lost_or_new"},
    "skips_what_waits": {"after_a_restart_nothing_is_lost_or_new"},
    "renames_edits": {"an_edit_names_the_message_that_it_changes"},
    "takes_edits_for_messages": {"an_edit_names_the_message_that_it_changes"},
    "loses_revisions": {"an_edit_names_the_message_that_it_changes"},
    "hears_itself": {"its_own_words_are_not_heard"},
    "swallows_the_end": LISTENING,  # each of these ends with a listener that is cancelled
    "listener_closes_once": {"it_can_be_closed_twice"},
}


@pytest.mark.slow
def test_each_mutant_fails_where_it_should_and_nowhere_else() -> None:
    assert EXPECTED.keys() == SENDERS.keys() | LISTENERS.keys()
    options = ("-q", "-p", "tests.contracts.channel_mutants", "-p", "no:cacheprovider")
    ended = subprocess.run(
        [sys.executable, "-m", "pytest", *options, "--tb=no", "-k", f"{PREFIX} and fakeredis"]
        + [str(file) for file in FILES],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=50,
        check=False,
    )
    seen: dict[str, set[str]] = {name: set() for name in EXPECTED}
    failed = rf"^FAILED \S+::test_(\w+)\[\S*{PREFIX}(\w+)"
    for test, name in re.findall(failed, ended.stdout, re.MULTILINE):
        seen[name].add(test)
    summary = ended.stdout.splitlines()[-1]
    assert not re.search("error|skipped", summary), ended.stdout
    assert seen == EXPECTED
    suites = "\n".join(file.read_text() for file in FILES)
    rules = set(re.findall(r"^async def test_(\w+)\(", suites, re.MULTILINE))
    assert set().union(*EXPECTED.values()) == rules

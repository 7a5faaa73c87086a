"""What the README promises, and the tests that hold it: `file::test` for each. test_docs.py checks that every test named here exists,
and the README's list is made from this table.
"""

PROMISES: dict[str, tuple[str, ...]] = {
    "Nothing an agent sends changes a read-only branch: the default one, a protected one, one that a pattern names.": (
        "test_journey.py::test_an_attack_on_the_default_branch_is_refused_and_the_table_is_whole",
        "test_journey.py::test_the_default_branch_is_never_deleted_reset_or_handed_out",
    ),
    "The journey works over stdio, in both eras of the protocol, and every record is there at its end.": (
        "test_journey.py::test_the_journey_ends_with_every_address_moved_and_the_default_branch_unchanged",
    ),
    "A request that Neon's API answered badly, late or not at all leaves one branch or none, never two.": (
        "test_neon_faults.py::test_every_failure_of_httpx_is_ours_and_no_change_that_may_have_been_sent_is_sent_again",
    ),
    "Every call is on record; a write is on disk before it is sent; a record changed later shows.": (
        "test_audit.py::test_a_write_is_on_disk_before_it_is_sent_and_its_outcome_after",
        "test_audit.py::test_after_kill_nine_the_chain_verifies_and_holds_all_that_was_acknowledged",
        "test_audit.py::test_a_changed_record_shows",
    ),
    "A kill -9 at any moment leaves the local branches consistent and no process behind.": (
        "test_local_crash.py::test_kill_9_at_any_moment_leaves_a_consistent_state_and_nothing_behind",
    ),
    "Secrets are in no message, log or record.": (
        "test_neon_faults.py::test_secrets_in_the_apis_words_do_not_come_through",
        "test_audit.py::test_secrets_in_sql_are_not_kept",
    ),
    "All tools together cost an agent at most 4,500 tokens; the instructions stay under 250 characters.": (
        "test_served.py::test_all_tools_together_cost_at_most_4500_tokens",
    ),
    "`init` keeps what is in a client's file, and what it writes starts.": (
        "test_clients.py::test_codex_keeps_comments_other_servers_and_what_the_user_decided_about_our_tools",
        "test_clients.py::test_a_json_file_keeps_what_else_is_in_it",
    ),
}

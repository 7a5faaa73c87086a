"""What the README promises, and the tests that hold it: `file::test` for each. test_docs.py checks that every test named here exists,
and the README's list is made from this table.
"""

PROMISES: dict[str, tuple[str, ...]] = {
    "Nothing an agent sends changes a read-only branch: the default one, a protected one, one that a pattern names.": (
        "test_journey.py::test_an_attack_on_the_default_branch_is_refused_and_the_table_is_whole",
        "test_journey.py::test_the_default_branch_is_never_deleted_reset_or_handed_out",
        "guard/test_attacks.py::test_no_attack_leaves_anything_or_gets_an_answer",
        "guard/test_tools.py::test_no_attack_through_any_tool_leaves_anything_or_gets_an_answer",
        "guard/test_tools.py::test_no_other_parameter_is_a_way_in",
        "guard/test_attacks.py::test_without_one_layer_the_others_let_no_table_change",
        "guard/test_attacks.py::test_one_layer_alone_lets_no_table_change",
        "guard/test_property.py::test_never_allowed_and_changed",
    ),
    "Honest reads run on a read-only branch: of 700 queries as DBAs and analysts write them, at most 1 % are refused.": (
        "guard/test_corpus.py::test_honest_reads_run",
        "guard/test_attacks.py::test_reads_run",
        "guard/test_extensions.py::test_what_only_reads_runs_and_what_does_more_is_refused",
        "guard/test_spelling.py::test_a_read_in_words_that_the_parser_does_not_know_is_a_read",
        "guard/test_builds.py::test_both_builds_of_the_parser_judge_alike",
    ),
    "A text that is made to choke the guard is refused within seconds, and other callers do not wait for it.": (
        "guard/test_attacks.py::test_a_text_made_to_choke_the_parser_is_refused_in_time_and_harms_nobody",
        "guard/test_pool.py::test_a_worker_that_crashes_is_a_refusal_and_the_next_statement_is_read",
        "guard/test_pool.py::test_a_worker_that_hangs_is_ended_at_its_time_and_others_are_served_meanwhile",
        "guard/test_pool.py::test_a_short_text_waits_for_no_long_one",
    ),
    "The login of `setup-reader` reads all and writes nothing, with every other layer of the guard taken away.": (
        "guard/test_reader.py::test_it_reads_all_and_writes_nothing_with_every_other_layer_away",
    ),
    "What would reach beyond a branch (dblink, foreign servers, subscriptions, another endpoint) is refused there.": (
        "guard/test_policy.py::test_what_reaches_beyond_a_branch_is_refused_unless_the_operator_allows_it",
        "guard/test_beyond.py::test_nothing_that_was_assembled_reaches_another_server",
        "guard/test_beyond.py::test_where_a_function_reaches_at_once_nothing_is_assembled",
    ),
    "The journey works over stdio, in both eras of the protocol, and every record is there at its end.": (
        "test_journey.py::test_the_journey_ends_with_every_address_moved_and_the_default_branch_unchanged",
    ),
    "A request that Neon's API answered badly, late or not at all leaves one branch or none, never two.": (
        "test_neon_faults.py::test_every_failure_of_httpx_is_ours_and_no_change_that_may_have_been_sent_is_sent_again",
        "test_neon_branches.py::test_a_journey_whose_every_change_fails_once_makes_and_leaves_no_branch_twice",
        "test_neon_branches.py::test_a_cancelled_creation_leaves_no_branch",
    ),
    "A branch that this server makes has passwords of its own: they do not open the parent, nor the parent's the branch.": (
        "test_neon_branches.py::test_the_branchs_password_fails_on_the_parent_and_the_parents_on_the_branch",
    ),
    "Over a connection that fails at any moment no write is sent twice, no result is wrong, and every call ends.": (
        "test_executor_faults.py::test_a_connection_that_fails_after_any_byte_repeats_no_write_and_spoils_no_read",
        "test_executor_faults.py::test_a_write_whose_answer_is_lost_is_sent_once_and_its_outcome_said_to_be_unknown",
        "test_executor_faults.py::test_a_restart_in_the_middle_repeats_the_read_and_not_the_write",
    ),
    "Every call is on record; a write is on disk before it is sent; a record changed later shows.": (
        "test_audit.py::test_a_write_is_on_disk_before_it_is_sent_and_its_outcome_after",
        "test_audit.py::test_after_kill_nine_the_chain_verifies_and_holds_all_that_was_acknowledged",
        "test_audit.py::test_a_changed_record_shows",
        "test_audit_server.py::test_after_kill_nine_every_write_that_reached_postgres_is_on_record",
    ),
    "`verify_migration` calls preserved only what is proven, lost nothing that is there, and finds every planted loss.": (
        "test_verify_migrations.py::test_verdict",
        "test_verify_tool.py::test_a_planted_loss_is_shown_by_key",
        "test_verify.py::test_a_lost_duplicate_in_a_table_without_a_key_is_found",
        "test_verify_hidden.py::test_two_amounts_of_a_row_that_grow_ten_thousandfold_are_lost",
        "test_verify_hidden.py::test_missing_rows_are_unproven_only_where_a_new_table_may_hold_them",
        "test_verify_hidden.py::test_a_value_that_the_check_writes_itself_proves_nothing",
    ),
    "The schema that an agent reads is the whole schema: one made from it dumps the same.": (
        "test_schema.py::test_a_schema_made_from_its_own_ddl_dumps_the_same",
    ),
    "The local control plane answers as Neon's specification says, and Neon's own clients work with it unchanged.": (
        "contract/test_contract.py::test_every_route_is_one_of_the_specification",
        "contract/test_contract.py::test_a_branch_lives_by_the_contract",
        "contract/test_fuzz.py::test_any_call_is_answered_as_the_specification_says",
        "contract/test_neon_api.py::test_it_makes_uses_and_deletes_a_branch",
        "contract/test_neon_api.py::test_neons_own_cli_works_unchanged",
    ),
    "A client's first requests and its tool calls are answered without the SDK, with the very bytes of the SDK's server.": (
        "test_stdio_direct.py::test_every_answer_is_the_sdk_servers_to_the_byte",
        "test_front.py::test_its_answers_are_the_real_servers_to_the_byte",
    ),
    "Whatever a client over stdio says, each request has one answer; ten thousand calls at once take bounded memory.": (
        "test_stdio_fuzz.py::test_each_request_has_one_answer_whatever_is_said_between",
        "test_stdio_load.py::test_ten_thousand_calls_at_once_take_no_more_memory_than_a_few",
        "test_stdio_load.py::test_calls_beyond_those_that_run_wait_and_can_be_given_up_and_pings_pass_them",
        "test_stdio_load.py::test_a_message_that_is_too_long_is_answered_to_its_id_and_not_kept",
    ),
    "A kill -9 at any moment leaves the local branches consistent and no process behind.": (
        "test_local_crash.py::test_kill_9_at_any_moment_leaves_a_consistent_state_and_nothing_behind",
    ),
    "Secrets are in no message, log or record.": (
        "test_neon_faults.py::test_secrets_in_the_apis_words_do_not_come_through",
        "test_audit.py::test_secrets_in_sql_are_not_kept",
        "test_audit_server.py::test_no_secret_is_in_anything_that_the_server_writes",
        "test_http_secrets.py::test_no_neon_key_shows",
        "test_http_secrets.py::test_no_token_of_ours_shows",
        "test_http_secrets.py::test_no_jwt_shows",
    ),
    "All tools together cost an agent at most 4,500 tokens; the instructions stay under 250 characters.": (
        "test_served.py::test_all_tools_together_cost_at_most_4500_tokens",
    ),
    "`init` keeps what is in a client's file, and with what it writes the real clients do the journey; only deleting asks.": (
        "test_clients.py::test_codex_keeps_comments_other_servers_and_what_the_user_decided_about_our_tools",
        "test_clients.py::test_a_json_file_keeps_what_else_is_in_it",
        "real_clients/test_real_clients.py::test_codex_does_the_journey_over_stdio_unasked_but_for_deleting",
        "real_clients/test_real_clients.py::test_codex_does_the_journey_over_http_with_its_own_key_unasked_but_for_deleting",
        "real_clients/test_real_clients.py::test_claude_code_does_the_journey",
        "real_clients/test_real_clients.py::test_the_inspector_calls_every_tool",
        "real_clients/test_interactive.py::test_with_the_guides_configuration_a_session_does_the_journey_and_asks_before_what_is_destructive",
        "real_clients/test_interactive.py::test_on_a_fresh_machine_the_wheel_init_and_trust_are_all_that_codex_needs",
    ),
    "Over HTTP many callers work at once, and none sees another's projects, branches, rows or sessions.": (
        "test_http_isolation.py::test_many_callers_at_once_each_see_their_own",
        "test_http_isolation.py::test_what_one_session_leaves_behind_the_next_does_not_find",
        "test_http_isolation.py::test_connections_are_not_shared_between_keys",
    ),
    "A scope by URL or token only narrows, and one that is not understood is refused.": (
        "test_http_scope.py::test_a_scope_never_widens_a_token",
        "test_http_scope.py::test_what_is_not_understood_is_refused",
        "test_http_server.py::test_a_scoped_url_cannot_be_left",
    ),
    "A thousand bad requests get answers that blame the client, and leave the server as it was.": (
        "test_http_fuzz.py::test_bad_requests_do_no_harm",
    ),
    "Of two replicas one may die or be stopped: the other goes on, and only what the one was answering or being given is lost.": (
        "test_http_replicas.py::test_one_of_two_replicas_is_killed_in_the_middle_of_the_load",
        "test_http_replicas.py::test_a_replica_that_is_stopped_ends_what_it_began",
    ),
    "A migration is applied whole or not at all, together with its entry in the ledger; what remains otherwise is said by name.": (
        "test_migration_apply.py::test_changes_and_ledger_are_there_together",
        "test_migration_apply.py::test_an_error_says_where_and_why_and_leaves_nothing",
        "test_migration_apply.py::test_after_a_committed_part_the_error_says_exactly_what_remains",
        "test_migration_apply.py::test_a_lost_answer_to_commit_is_unknown_and_a_second_call_settles_it",
        "test_migration_apply.py::test_a_server_that_restarts_in_the_middle_loses_nothing",
        "test_migration_apply.py::test_a_full_disk_is_told_and_nothing_is_applied",
    ),
    "The report tells every lock, rewrite, scan and loss of a migration, and invents none.": (
        "test_migration_evidence.py::test_each_row_of_the_table_is_measured",
        "test_migration_losses.py::test_a_loss_is_reported_with_its_rows",
        "test_migration_losses.py::test_no_loss_is_invented",
        "test_migration_losses_hidden.py::test_a_hidden_loss_is_reported_with_its_rows",
        "test_migration_losses_hidden.py::test_no_loss_is_invented_where_it_only_looks_like_one",
    ),
    "A cancelled call stops its statement in Postgres.": (
        "test_served_live.py::test_a_cancelled_call_stops_its_statement_in_postgres",
    ),
}

"""Which functions a statement may call: the names it calls × what the catalogue says of them → harmless or refused.

Two lists stand whatever the catalogue says. OUTSIDE acts on other sessions, on the server or on other servers, or runs SQL that is
given as text (some of those are labelled STABLE). HARMLESS is volatile by label only. Between them the label decides: a name is
refused when any function of that name is VOLATILE, or an aggregate made of one.
"""

import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import cached_property, lru_cache
from typing import Any

from .lexer import LexError, Names, names, skip_blank, tokens


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


HARMLESS = _words(
    """
    bernoulli system system_rows system_time gen_random_bytes gen_salt pgp_sym_encrypt pgp_sym_encrypt_bytea pgp_pub_encrypt
    pgp_pub_encrypt_bytea normal_rand pg_cluster_size approximate_working_set_size_seconds neon_get_lfc_stats backpressure_lsns
    backpressure_throttling_time local_cache_pages
    array_sample array_shuffle pg_stat_have_stats amvalidate currtid2
    random random_normal setseed clock_timestamp timeofday statement_timestamp transaction_timestamp gen_random_uuid
    uuidv4 uuidv7 uuid_generate_v1 uuid_generate_v1mc uuid_generate_v4 currval lastval pg_size_pretty pg_size_bytes
    pg_relation_size pg_table_size pg_indexes_size pg_total_relation_size pg_database_size pg_tablespace_size
    pg_column_size pg_column_compression pg_column_toast_chunk_id pg_relation_filepath pg_blocking_pids
    pg_safe_snapshot_blocking_pids pg_isolation_test_session_is_blocked pg_lock_status pg_stat_get_activity
    pg_stat_get_progress_info pg_stat_get_wal_senders pg_stat_get_wal_receiver pg_stat_get_subscription
    pg_stat_statements pg_stat_statements_info pg_stat_get_io pg_stat_get_wal pg_stat_get_slru pg_stat_get_archiver
    pg_stat_get_backend_idset pg_stat_get_recovery_prefetch pg_stat_get_replication_slot pg_stat_get_backend_io
    pg_get_replication_slots pg_show_replication_origin_status pg_prepared_xact pg_prepared_statement pg_cursor
    pg_available_extensions pg_available_extension_versions pg_extension_update_paths pg_timezone_names
    pg_timezone_abbrevs pg_timezone_abbrevs_zone pg_timezone_abbrevs_abbrevs pg_config pg_show_all_settings
    pg_show_all_file_settings pg_hba_file_rules pg_ident_file_mappings pg_current_wal_lsn pg_current_wal_insert_lsn
    pg_current_wal_flush_lsn pg_last_wal_receive_lsn pg_last_wal_replay_lsn pg_last_xact_replay_timestamp
    pg_is_in_recovery pg_is_wal_replay_paused pg_get_wal_replay_pause_state pg_current_xact_id_if_assigned
    txid_current_if_assigned pg_xact_status txid_status pg_snapshot_xip txid_snapshot_xip pg_current_snapshot
    txid_current_snapshot pg_notification_queue_usage pg_listening_channels pg_my_temp_schema pg_get_shmem_allocations
    pg_get_shmem_allocations_numa pg_get_backend_memory_contexts pg_get_aios pg_numa_available pg_control_system
    pg_control_checkpoint pg_control_recovery pg_control_init pg_sequence_last_value pg_get_sequence_data
    pg_xact_commit_timestamp pg_xact_commit_timestamp_origin pg_last_committed_xact pg_conf_load_time
    pg_postmaster_start_time pg_backup_start_time pg_is_in_backup pg_get_multixact_members pg_mcv_list_items
    pg_partition_tree pg_partition_ancestors pg_sequence_parameters pg_get_publication_tables pg_get_wait_events
    pg_wal_lsn_diff pg_get_loaded_modules pg_ls_waldir pg_ls_tmpdir pg_ls_archive_statusdir pg_ls_logdir
    pg_ls_logicalsnapdir pg_ls_logicalmapdir pg_ls_replslotdir pgstattuple pgstatindex pg_relpages pgstattuple_approx
    pgstatginindex pgstathashindex pg_freespace pg_buffercache_pages pg_buffercache_summary
    pg_buffercache_usage_counts pg_buffercache_numa_pages hypopg_list_indexes hypopg hypopg_get_indexdef hypopg_relation_size
    get_raw_page page_header page_checksum heap_page_items heap_page_item_attrs heap_tuple_infomask_flags tuple_data_split fsm_page_contents
    bt_metap bt_page_stats bt_page_items bt_multi_page_stats brin_page_type brin_metapage_info brin_revmap_data brin_page_items
    gin_metapage_info gin_page_opaque_info gin_leafpage_items gist_page_opaque_info gist_page_items gist_page_items_bytea
    hash_page_type hash_page_stats hash_page_items hash_bitmap_info hash_metapage_info
    pg_visibility pg_visibility_map pg_visibility_map_summary pg_check_frozen pg_check_visible pgrowlocks
    verify_heapam pg_get_wal_record_info pg_get_wal_records_info pg_get_wal_records_info_till_end_of_wal
    pg_get_wal_stats pg_get_wal_stats_till_end_of_wal pg_get_wal_block_info pg_get_logical_snapshot_meta pg_get_logical_snapshot_info
    ssl_is_used ssl_version ssl_cipher ssl_client_cert_present ssl_client_serial ssl_client_dn ssl_client_dn_field ssl_issuer_dn
    ssl_issuer_field ssl_extension_info get_perf_counters get_backend_perf_counters hypertable_size hypertable_detailed_size
    st_generatepoints
    lo_open lo_close loread lo_get lo_lseek lo_lseek64 lo_tell lo_tell64
    current_query pg_collation_actual_version pg_database_collation_actual_version pg_current_logfile pg_jit_available
    pg_get_wal_resource_managers pg_get_wal_summarizer_state pg_available_wal_summaries pg_wal_summary_contents pg_ls_summariesdir
    pg_stat_get_backend_wal pg_stat_get_xact_blocks_fetched pg_stat_get_xact_blocks_hit pg_stat_get_xact_function_calls
    pg_stat_get_xact_function_self_time pg_stat_get_xact_function_total_time pg_stat_get_xact_numscans
    pg_stat_get_xact_tuples_deleted pg_stat_get_xact_tuples_fetched pg_stat_get_xact_tuples_hot_updated
    pg_stat_get_xact_tuples_inserted pg_stat_get_xact_tuples_newpage_updated pg_stat_get_xact_tuples_returned
    pg_stat_get_xact_tuples_updated
    """
)

# Whole families, so that what an extension or a coming release adds is covered.
_FAMILIES = (
    r"dblink\w*", r"pg_(?:try_)?advisory_\w+",
    r"lo_(?:import|export|creat|create|unlink|put|from_bytea|truncate\w*|manage)", r"lowrite",
    r"pg_replication_\w+", r"pg_\w+_replication_slot\w*", r"pg_logical_\w+", r"pg_create_\w+", r"pg_drop_\w+",
    r"pg_read_\w*file\w*", r"pg_ls_dir", r"pg_stat_file", r"pg_file_\w+",
    r"pg_stat_reset\w*", r"pg_stat_statements_reset", r"pg_stat_(?:clear|force)_\w+", r"pg_(?:clear|restore|set)_\w+_stats",
    r"pg_backup_(?:start|stop)", r"pg_(?:start|stop)_backup", r"pg_wal_replay_(?:pause|resume)",
    r"binary_upgrade_\w+", r"crosstab\w*", r"(?:query|table|schema|database|cursor)_to_xml(?:schema|_and_xmlschema)?",
    r"http(?:_(?:get|post|put|patch|delete|head|set_curlopt|reset_curlopt))?", r"(?:auto)?prewarm\w*", r"pg_buffercache_(?:evict|mark)\w*",
    r"postgres_fdw_\w+", r"pg_background\w*", r"heap_force_\w+",
)  # fmt: skip
_OUTSIDE = _words(
    """
    pg_terminate_backend pg_cancel_backend pg_reload_conf pg_rotate_logfile pg_rotate_logfile_old pg_switch_wal pg_switch_xlog
    pg_promote pg_notify set_config pg_export_snapshot pg_sync_replication_slots pg_log_backend_memory_contexts
    pg_import_system_collations pg_prewarm pg_truncate_visibility_map ts_stat ts_rewrite connectby xpath_table
    pg_sleep pg_sleep_for pg_sleep_until brin_summarize_new_values brin_summarize_range brin_desummarize_range
    gin_clean_pending_list pg_extension_config_dump pg_nextoid pg_stop_making_pinned_objects
    """
)
_ALL = "|".join((*_FAMILIES, *sorted(_OUTSIDE)))
OUTSIDE_PATTERN = re.compile(rf"(?:{_ALL})\Z")
_RAW = re.compile(rf"(?<![\w$])({_ALL})\"?(?=[\s(/-])")
# Waiting harms nobody but the caller, and strings that speak of these (pg_stat_activity.query) are common; they count in code only.
_ONLY_IN_CODE = frozenset({"pg_sleep", "pg_sleep_for", "pg_sleep_until", "set_config", "pg_notify", "http"})
# Through these a statement reaches another server.
_BEYOND = r"dblink\w*|postgres_fdw_\w+|http(?:_(?:get|post|put|patch|delete|head))?"
BEYOND_PATTERN = re.compile(rf"(?<![\w$])({_BEYOND})\"?(?=[\s(/-])")
BEYOND_NAME = re.compile(_BEYOND)


BUILT_IN = "built in"
EXTENSION = "extension"


@dataclass(frozen=True)
class FunctionCatalogue:
    """What one database says about what may be called there. `stamp` changes whenever any of it changes.

    `volatile` maps the name of every volatile function, procedure or aggregate to BUILT_IN, EXTENSION or the signature of the user's
    own function (which wins where a name has several); `mislabelled` maps the name of a function that claims to be harmless to what
    its body calls; `fields` are those of these that `row.name` calls too. Behind `operators` (symbols) and `types` (also tables with
    such columns) stands a volatile function; behind `checked` types one that runs when something is cast to them. `foreign` names the
    relations whose rows live on another server, `views` those that call a function with effects, and which. `shown_late`: there is more
    that must not be used, which only the plan of a statement shows.
    """

    stamp: str = ""
    volatile: Mapping[str, str] = field(default_factory=dict)
    mislabelled: Mapping[str, str] = field(default_factory=dict)
    operators: frozenset[str] = frozenset()
    types: frozenset[str] = frozenset()
    checked: frozenset[str] = frozenset()
    fields: frozenset[str] = frozenset()
    foreign: frozenset[str] = frozenset()
    views: Mapping[str, str] = field(default_factory=dict)
    shown_late: bool = True
    judged: "dict[str, Harm | None]" = field(default_factory=dict, init=False, compare=False, repr=False)
    """Plans that were judged by this catalogue, and the verdict."""

    @cached_property
    def ways(self) -> tuple[str, ...]:
        """Functions here that connect to other servers."""
        return tuple(sorted(name for name in self.volatile if BEYOND_NAME.fullmatch(name)))

    @property
    def leads_away(self) -> bool:
        """Something here leads to another server already."""
        return bool(self.foreign or self.ways)

    @cached_property
    def own(self) -> frozenset[str]:
        """The user's own functions that may do anything."""
        return frozenset(name for name, whose in self.volatile.items() if whose not in (BUILT_IN, EXTENSION)).union(
            self.mislabelled
        )


_GAP = r"(?:\s|--[^\n]*\n|/\*.*?\*/)+"
_BEYOND_STATEMENT = re.compile(
    rf"(?is)\b((?:create|alter){_GAP}(?:subscription|server|user{_GAP}mapping|foreign{_GAP}table)|drop{_GAP}subscription"
    rf"|import{_GAP}foreign{_GAP}schema)\b"
)


@dataclass(frozen=True)
class Harm:
    """Why a call is not harmless, in words that end the sentence «this statement …»."""

    rule: str
    reason: str


@lru_cache(maxsize=4096)
def is_outside(name: str) -> bool:
    """On the fixed list: acts beyond the transaction, whatever its label says."""
    return OUTSIDE_PATTERN.match(name) is not None and name not in HARMLESS


def outside_in_text(sql: str) -> str | None:
    """The first name of the fixed list that is followed by a parenthesis anywhere in the text, strings and comments included."""
    return _followed_by_parenthesis(sql, _RAW, but=_ONLY_IN_CODE)


def beyond_in_text(sql: str) -> str | None:
    """The first function that reaches another server, called anywhere in the text: strings, comments and bodies included."""
    return _followed_by_parenthesis(sql, BEYOND_PATTERN, but=frozenset())


def beyond_statement_in_text(sql: str) -> str | None:
    """A statement that makes or changes a connection to another server, anywhere in the text: bodies of DO and functions included."""
    match = _BEYOND_STATEMENT.search(sql)
    return " ".join(match[1].upper().split()) if match else None


def _followed_by_parenthesis(sql: str, pattern: re.Pattern[str], *, but: frozenset[str]) -> str | None:
    text = sql.lower()
    for match in pattern.finditer(text):
        name = match[1]
        if name not in but and name not in HARMLESS and _opens(text, match.end()):
            return name
    return None


def _opens(sql: str, offset: int) -> bool:
    try:
        return sql.startswith("(", skip_blank(sql, offset))
    except LexError:
        return False


def judge_calls(names: Iterable[str], catalogue: FunctionCatalogue) -> Harm | None:
    """None when every name is harmless in that database."""
    for name in sorted(names):
        if name in _TYPES_BY_TEXT and catalogue.checked:
            return Harm(
                "type",
                f"calls {name}, which may run the check of a type by name, and one here calls a VOLATILE function",
            )
        if is_outside(name):
            return Harm("function", f"calls {name}, which acts beyond this transaction")
        if (lie := catalogue.mislabelled.get(name)) is not None:
            return Harm("function", f"calls {name}: {lie}")
        whose = catalogue.volatile.get(name)
        if whose is None or (name in HARMLESS and whose in (BUILT_IN, EXTENSION)):
            continue
        if whose in (BUILT_IN, EXTENSION):
            return Harm("function", f"calls {name}, which Postgres marks as having side effects (VOLATILE)")
        return Harm("function", f"calls {name}: {whose} is VOLATILE; mark it STABLE if it only reads")
    return None


def has_effects(name: str, volatile: object) -> bool:
    """A function of this name acts beyond the transaction, or is volatile (whose it is, or whether it is) and more than by label."""
    return is_outside(name) or bool(volatile and not (name in HARMLESS and volatile in (BUILT_IN, EXTENSION, True)))


# They take a type as text or by its number.
_TYPES_BY_TEXT = frozenset(
    {
        "pg_input_is_valid", "pg_input_error_info", "domain_in", "array_in", "record_in", "range_in", "multirange_in", "domain_recv",
        "array_recv", "record_recv", "range_recv", "multirange_recv",
    }
)  # fmt: skip


# They fill a row of whatever type they are given, checking its columns on the way.
_FILLS_A_ROW = frozenset(
    {
        "json_populate_record", "json_populate_recordset", "jsonb_populate_record", "jsonb_populate_recordset",
        "jsonb_populate_record_valid", "populate_record",
    }
)  # fmt: skip


def judge(uses: Names, catalogue: FunctionCatalogue) -> Harm | None:
    """None when nothing that a text uses has effects in that database, however it is written."""
    calls = uses.calls | (uses.fields & catalogue.fields)
    return judge_calls(calls, catalogue) or _judge_symbols(uses, catalogue)


def _judge_symbols(uses: Names, catalogue: FunctionCatalogue) -> Harm | None:
    """Operators and types that hide a volatile function, and relations that stand for another server's."""
    names = uses.words
    cast = names if uses.calls & _FILLS_A_ROW else uses.casts | uses.calls
    for symbol in sorted(catalogue.operators & uses.operators):
        return Harm("operator", f"uses the operator {symbol}, which in this database calls a VOLATILE function")
    for name in sorted(catalogue.types & names | catalogue.checked & cast):
        return Harm(
            "type", f"uses {name}: a check, a cast or an index of it calls a function with effects in this database"
        )
    for name in sorted(catalogue.views.keys() & names):
        return Harm(
            "function", f"reads {name}, which calls {catalogue.views[name]}, a function with effects (VOLATILE)"
        )
    for name in sorted(catalogue.foreign & names):
        return Harm("foreign", f"reads {name}, whose rows come from another server, outside this transaction")
    return None


REMEMBERED_PLANS = 256
REMEMBERED_LENGTH = 20_000

# Keys of an EXPLAIN (FORMAT JSON) node whose value is a name or a mode, not an expression.
_NAME_KEYS = frozenset(
    {
        "Alias", "Relation Name", "Schema", "Index Name", "CTE Name", "Parent Relationship", "Join Type", "Strategy", "Command",
        "Operation", "Node Type", "Subplan Name", "Scan Direction", "Partial Mode", "Tuplestore Name", "Table Function Name",
    }
)  # fmt: skip


def judge_plan(plan: str, catalogue: FunctionCatalogue) -> Harm | None:
    """Judge the answer of EXPLAIN (VERBOSE, FORMAT JSON): what views, policies and inlined functions really call.

    The same plan by the same catalogue is judged once: nothing else decides.
    """
    if len(plan) > REMEMBERED_LENGTH:
        return _judge_plan(plan, catalogue)
    if plan not in catalogue.judged:
        if len(catalogue.judged) >= REMEMBERED_PLANS:
            catalogue.judged.clear()
        catalogue.judged[plan] = _judge_plan(plan, catalogue)
    return catalogue.judged[plan]


def _judge_plan(plan: str, catalogue: FunctionCatalogue) -> Harm | None:
    texts = _texts(json.loads(plan))
    if any(kind.startswith("Foreign") for kind in texts.pop("Node Type", ())):
        return Harm("foreign", "reads a foreign table, whose rows come from another server, outside this transaction")
    calls = set(texts.pop("Function Name", ()))
    words = set(texts.pop("Relation Name", ()))
    fields: set[str] = set()
    casts: set[str] = set()
    operators: set[str] = set()
    for key, values in texts.items():
        for value in values if key not in _NAME_KEYS else ():
            if _COLUMN.match(value):  # most of what a large plan shows
                parts = value.split(".")
                words.update(parts)
                fields.update(parts[1:])
                continue
            try:
                found = names(tokens(value))
            except LexError:
                return Harm("plan", f"has a plan that could not be read ({key})")
            calls |= found.calls
            operators |= found.operators
            words |= found.words
            casts |= found.casts
            fields |= found.fields
    return judge(Names(*map(frozenset, (calls, casts, operators, words, fields))), catalogue)


_COLUMN = re.compile(r"[a-z_][a-z_0-9]*(?:\.[a-z_][a-z_0-9]*)*\Z")


def _texts(plan: Any) -> dict[str, set[str]]:
    """Every text of the plan by the key it stands under."""
    found: dict[str, set[str]] = {}
    waiting: list[tuple[str, Any]] = [("", plan)]
    while waiting:
        key, node = waiting.pop()
        if isinstance(node, dict):
            waiting += node.items()
        elif isinstance(node, list):
            waiting += [(key, value) for value in node]
        elif isinstance(node, str):
            found.setdefault(key, set()).add(node)
    return found

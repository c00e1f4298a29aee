"""Users besides the one of the environment, with the same password and the profiles of production."""

# `settings` are those of the profile; with `readonly` 1 the engine refuses every other one. `constant` ones
# are refused by the server's constraints, `forwards` are those that a proxy lets pass.
PROFILES = {
    "select_only": {"settings": {"readonly": "1", "enable_http_compression": "1"}},
    "select_only_partial": {"settings": {"readonly": "1", "skip_unavailable_shards": "1"}},
    "select_only_plain": {"settings": {"readonly": "1", "enable_http_compression": "0"}},
    "select_only_short": {"settings": {"readonly": "1", "enable_http_compression": "1", "limit": "3"}},
    "short": {"settings": {"limit": "3", "offset": "2", "skip_unavailable_shards": "1", "use_query_cache": "1"}},
    "bounded_result": {"settings": {"max_result_rows": "5", "result_overflow_mode": "break"}},
    "bounded_read": {"settings": {"max_rows_to_read": "9000", "read_overflow_mode": "break"}},
    "filtered": {"settings": {"additional_result_filter": "rowNumberInAllBlocks() < 100"}},
    "constrained": {"settings": {"max_threads": "1"}, "constant": ["max_block_size", "max_execution_time"]},
    "proxied_short": {"settings": {"limit": "3"}, "forwards": ["max_execution_time"]},
    "proxied_later": {"settings": {"offset": "2"}, "forwards": ["max_execution_time"]},
    "proxied": {"settings": {"enable_http_compression": "1"}, "forwards": ["max_execution_time"]},
}

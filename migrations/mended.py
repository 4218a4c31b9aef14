"""Released migrations stand as they are; where one does not work everywhere, its text is mended as it is run."""

MENDED: tuple[tuple[str, str], ...] = (
    # 0003, attach_log_partition: a role's name is no regrole when it has capitals, a dot or an @. Its own oid is known.
    (
        "IF owner <> current_user::regrole THEN",
        "IF owner <> (SELECT r.oid FROM pg_roles r WHERE r.rolname = current_user) THEN",
    ),
    # 0003: without a key, nothing may be deleted from a table that a publication FOR ALL TABLES sends out.
    (
        "EXECUTE format('ALTER TABLE noti.%I DROP CONSTRAINT %I', old, log || '_pkey');",
        """EXECUTE format('ALTER TABLE noti.%I DROP CONSTRAINT %I', old, log || '_pkey');
    EXECUTE format('ALTER TABLE noti.%I REPLICA IDENTITY FULL', old);""",
    ),
    (
        "PERFORM noti.attach_log_partition(log, old, format('FOR VALUES FROM (MINVALUE) TO (%L)', until));",
        """PERFORM noti.attach_log_partition(log, old, format('FOR VALUES FROM (MINVALUE) TO (%L)', until));
      EXECUTE format('ALTER TABLE noti.%I REPLICA IDENTITY DEFAULT', old);""",
    ),
)
"""What stands there, and what is run instead; the text before is the same in effect wherever it worked."""


def mended(sql: str) -> str:
    """The statements with what stands in MENDED."""
    for old, new in MENDED:
        sql = sql.replace(old, new)
    return sql

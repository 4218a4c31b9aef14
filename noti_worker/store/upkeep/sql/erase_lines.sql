-- Take somebody's name out of the next :step lines of a log after a position.
\set who '''ada@example.com'''
\set log '''audit_log'''
\set after_at '''-infinity'''
\set after_id 0
\set step 1000
\set dry_run true
SELECT e.last_at, e.last_id, e.seen, e.lines
  FROM noti.erase_lines(cast(:who AS text), cast(:log AS text), cast(:after_at AS timestamptz), cast(:after_id AS bigint),
                        cast(:step AS int), cast(:dry_run AS boolean)) AS e;

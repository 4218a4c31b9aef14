-- Take somebody's address out of the suppression list; its hash stays.
\set who '''ann@example.com'''
\set tenant NULL
\set dry_run true
SELECT noti.erase_suppressions(cast(:who AS text), cast(:tenant AS text), cast(:dry_run AS boolean)) AS suppressions;

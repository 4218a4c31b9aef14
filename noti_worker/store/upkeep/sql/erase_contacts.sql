-- Erase somebody from the contacts, and of user:ID what they chose.
\set who '''user:17'''
\set tenant 'NULL::text'
\set dry_run true
SELECT e.* FROM noti.erase_contacts(cast(:who AS text), cast(:tenant AS text), cast(:dry_run AS boolean)) AS e;

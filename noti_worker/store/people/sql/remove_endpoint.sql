-- Remove an endpoint; a row when it was there.
\set tenant '''default'''
\set name '''crm'''
SELECT removed FROM noti.remove_endpoint(cast(:tenant AS text), cast(:name AS text)) AS removed WHERE removed;

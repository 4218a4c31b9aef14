-- Remove an endpoint.
\set tenant '''default'''
\set name '''crm'''
DELETE FROM noti.endpoints WHERE tenant_id = cast(:tenant AS text) AND name = cast(:name AS text) RETURNING name;

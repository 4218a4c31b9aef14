-- A recipient takes back that he left a category.
\set tenant_id '''default'''
\set channel '''email'''
\set address_hash 'sha256(''ann@example.com'')'
\set category '''news'''
SELECT noti.resubscribe(cast(:tenant_id AS text), cast(:channel AS text), cast(:address_hash AS bytea), cast(:category AS text)) AS stays;

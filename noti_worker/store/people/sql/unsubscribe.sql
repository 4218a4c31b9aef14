-- A recipient leaves a category.
\set tenant_id '''default'''
\set channel '''email'''
\set address_hash 'sha256(''ann@example.com'')'
\set category '''news'''
\set notification_id 1
SELECT noti.unsubscribe(cast(:tenant_id AS text), cast(:channel AS text), cast(:address_hash AS bytea), cast(:category AS text),
                        cast(:notification_id AS bigint));

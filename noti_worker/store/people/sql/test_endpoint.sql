-- Queue a test event for an endpoint.
\set tenant '''default'''
\set name '''crm'''
SELECT noti.test_endpoint(cast(:tenant AS text), cast(:name AS text)) AS notification_id;

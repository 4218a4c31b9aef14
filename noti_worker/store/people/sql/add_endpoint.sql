-- Add an endpoint of a tenant.
\set tenant '''default'''
\set name '''crm'''
\set url '''https://example.com/events'''
\set events 'array[''sent'']'
\set channels 'array[''email'']'
\set account NULL
\set owner_channel NULL
\set owner NULL
INSERT INTO noti.endpoints (tenant_id, name, url, events, channels, account, owner_channel, owner)
VALUES (cast(:tenant AS text), cast(:name AS text), cast(:url AS text), cast(:events AS text[]), cast(:channels AS text[]),
        cast(:account AS text), cast(:owner_channel AS text), cast(:owner AS text))
    ON CONFLICT ON CONSTRAINT endpoints_name DO NOTHING
RETURNING name;

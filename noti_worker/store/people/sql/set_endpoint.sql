-- Change what is not NULL of an endpoint.
\set tenant '''default'''
\set name '''crm'''
\set url NULL
\set events 'array[''sent'']'
\set channels NULL
\set account NULL
\set owner_channel NULL
\set owner NULL
\set state NULL
\set reason NULL
UPDATE noti.endpoints
   SET url = coalesce(cast(:url AS text), url),
       events = coalesce(cast(:events AS text[]), events),
       channels = coalesce(cast(:channels AS text[]), channels),
       account = coalesce(cast(:account AS text), account),
       owner_channel = coalesce(cast(:owner_channel AS text), owner_channel),
       owner = coalesce(cast(:owner AS text), owner),
       state = coalesce(cast(:state AS text), state),
       state_reason = coalesce(cast(:reason AS text), state_reason)
 WHERE tenant_id = cast(:tenant AS text) AND name = cast(:name AS text)
RETURNING name;

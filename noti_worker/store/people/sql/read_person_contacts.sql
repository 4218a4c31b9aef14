-- The addresses of a person, by channel in the order in which they are used.
\set tenant '''default'''
\set user_ref '''42'''
SELECT c.contact_id, c.channel, c.address, c.place, c.label, c.verified_at, c.locale, c.zone, c.quiet_from, c.quiet_to, c.left_at, c.left_because,
       noti.normal_address(c.channel, c.address) AS normal, encode(c.address_hash, 'hex') AS address_hash
  FROM noti.contacts c
 WHERE c.tenant_id = cast(:tenant AS text) AND c.user_ref = cast(:user_ref AS text)
 ORDER BY c.channel, c.left_at IS NOT NULL, c.place, c.contact_id;

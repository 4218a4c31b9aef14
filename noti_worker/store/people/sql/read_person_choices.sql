-- What a person chose: the general before the exact.
\set tenant '''default'''
\set user_ref '''42'''
SELECT p.category, p.channel, p.allowed, p.frequency, p.updated_at, p.updated_by
  FROM noti.preferences p
 WHERE p.tenant_id = cast(:tenant AS text) AND p.user_ref = cast(:user_ref AS text)
 ORDER BY p.category, p.channel;

-- The tenants that know a person; a few are enough to see that there are several.
\set user_ref '''42'''
SELECT known.tenant_id
  FROM (SELECT c.tenant_id FROM noti.contacts c WHERE c.user_ref = cast(:user_ref AS text)
        UNION SELECT p.tenant_id FROM noti.preferences p WHERE p.user_ref = cast(:user_ref AS text)) AS known
 ORDER BY known.tenant_id LIMIT 10;

-- Let these accounts be asked again whether their quotas are used up: how much they are, may have changed.
\set accounts 'array[''relay'']'
DELETE FROM noti.spent s
 WHERE s.scope = 'account' AND s.tenant_id = '' AND s.name = ANY (cast(:accounts AS text[]));

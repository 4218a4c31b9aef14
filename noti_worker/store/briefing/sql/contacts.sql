-- The addresses of persons on the channels of rows, the first by place in front; behind them those that left.
--
-- noti.contacts is put in place of a view of the application where the configuration names one, whose columns may have
-- other types.
\set ids 'array[1, 2]'
\set tenants 'array[''default'', ''default'']'
\set users 'array[''42'', ''43'']'
\set channels 'array[''email'', ''sms'']'
\set most 32
SELECT wanted.id, c.contact, c.address, c.locale, c.zone, c.verified_at, c.quiet_from, c.quiet_to, c.left_at, c.left_because
  FROM unnest(cast(:ids AS bigint[]), cast(:tenants AS text[]), cast(:users AS text[]), cast(:channels AS text[]))
       AS wanted (id, tenant_id, user_ref, channel)
 CROSS JOIN LATERAL (
       SELECT cast(k.contact_id AS text) AS contact, cast(k.address AS text) AS address, cast(k.locale AS text) AS locale,
              cast(k.zone AS text) AS zone, cast(k.verified_at AS timestamptz) AS verified_at,
              cast(k.quiet_from AS time) AS quiet_from, cast(k.quiet_to AS time) AS quiet_to,
              cast(k.left_at AS timestamptz) AS left_at, cast(k.left_because AS text) AS left_because
         FROM noti.contacts AS k
        WHERE k.tenant_id = wanted.tenant_id AND k.user_ref = wanted.user_ref AND k.channel = wanted.channel
        ORDER BY k.left_at DESC NULLS FIRST, k.place, k.contact_id
        LIMIT cast(:most AS bigint)) AS c;

-- For rows that the hour does not suit: when the quiet hours of the recipient end, else when the send window of the category opens, else
-- when there may be a place under its cap. A row that may go takes its place there (noti.take_places).
--
-- The recipient's hours and zone are those of its contact, else the setting of the tenant, else UTC; of a row that names a person they are
-- known already, '' where nothing is said. A category of the tenant's own goes before one of all. Clocks are asked once for all rows with the
-- same wishes. Each probe with its own LIMIT, so that the plan reaches rows by key whatever the statistics say.
\set ids 'array[1, 2]'
\set tenants 'array[''default'', ''default'']'
\set channels 'array[''email'', ''email'']'
\set recipients 'array[''ann@example.com'', ''user:42'']'
\set categories 'array['''', ''news'']'
\set urgent 'array[false, false]'
\set zones 'array['''', ''Europe/Berlin'']'
\set starts 'array['''', ''22:00:00'']'
\set ends 'array['''', ''07:00:00'']'
WITH person AS MATERIALIZED (
    SELECT w.id, w.tenant_id, w.channel, w.recipient, w.category, w.urgent,
           CASE WHEN w.recipient LIKE 'user:%' THEN substr(w.recipient, 6) ELSE c.user_ref END AS user_ref,
           coalesce(nullif(w.zone, ''), c.zone) AS zone,
           coalesce(cast(nullif(w.starts, '') AS time), c.quiet_from) AS quiet_from,
           coalesce(cast(nullif(w.ends, '') AS time), c.quiet_to) AS quiet_to
      FROM unnest(cast(:ids AS bigint[]), cast(:tenants AS text[]), cast(:channels AS text[]), cast(:recipients AS text[]),
                  cast(:categories AS text[]), cast(:urgent AS boolean[]), cast(:zones AS text[]), cast(:starts AS text[]), cast(:ends AS text[]))
                  AS w (id, tenant_id, channel, recipient, category, urgent, zone, starts, ends)
      LEFT JOIN LATERAL (
           SELECT o.user_ref, o.zone, o.quiet_from, o.quiet_to
             FROM noti.contacts o
            WHERE w.recipient NOT LIKE 'user:%' AND o.address_hash = noti.address_hash(w.channel, w.recipient)
              AND o.tenant_id = w.tenant_id AND o.channel = w.channel AND o.left_at IS NULL
            LIMIT 1) AS c ON true
),
wish AS MATERIALIZED (
    SELECT p.id, p.tenant_id, p.category, p.user_ref, p.channel, p.recipient,
           coalesce(p.zone, z.value #>> '{}', 'UTC') AS zone,
           CASE WHEN c.mandatory OR NOT c.quiet OR p.urgent THEN NULL
                ELSE coalesce(p.quiet_from, cast(split_part(h.value #>> '{}', '-', 1) AS time)) END AS quiet_from,
           coalesce(p.quiet_to, cast(split_part(h.value #>> '{}', '-', 2) AS time)) AS quiet_to,
           c.send_window, c.cap_amount, c.cap_every, c.cap_over
      FROM person AS p
      LEFT JOIN LATERAL (
           SELECT s.value FROM noti.settings s WHERE s.tenant_id = p.tenant_id AND s.key = 'zone' LIMIT 1) AS z ON true
      LEFT JOIN LATERAL (
           SELECT s.value FROM noti.settings s WHERE s.tenant_id = p.tenant_id AND s.key = 'quiet_hours' LIMIT 1) AS h ON true
      LEFT JOIN LATERAL (
           (SELECT o.mandatory, o.quiet, o.send_window, o.cap_amount, o.cap_every, o.cap_over
              FROM noti.categories o WHERE p.category <> '' AND o.tenant_id = p.tenant_id AND o.category = p.category LIMIT 1)
           UNION ALL
           (SELECT o.mandatory, o.quiet, o.send_window, o.cap_amount, o.cap_every, o.cap_over
              FROM noti.categories o WHERE p.category <> '' AND o.tenant_id = '' AND o.category = p.category LIMIT 1)
           LIMIT 1) AS c ON true
),
quiet AS MATERIALIZED (
    SELECT q.*, noti.quiet_until(q.zone, q.quiet_from, q.quiet_to, now()) AS ends_at
      FROM (SELECT DISTINCT w.zone, w.quiet_from, w.quiet_to FROM wish AS w WHERE w.quiet_from IS NOT NULL) AS q
),
shut AS MATERIALIZED (
    SELECT s.*, noti.window_opens(s.send_window, s.zone, now()) AS opens_at
      FROM (SELECT DISTINCT w.zone, w.send_window FROM wish AS w WHERE w.send_window IS NOT NULL) AS s
),
timed AS MATERIALIZED (
    SELECT w.*, q.ends_at, s.opens_at
      FROM wish AS w
      LEFT JOIN quiet AS q ON q.zone = w.zone AND q.quiet_from = w.quiet_from AND q.quiet_to = w.quiet_to
      LEFT JOIN shut AS s ON s.zone = w.zone AND s.send_window = w.send_window
),
capped AS MATERIALIZED (
    SELECT array_agg(t.id) AS ids, array_agg(t.tenant_id) AS tenants, array_agg(t.category) AS categories,
           array_agg(CASE WHEN t.user_ref IS NULL THEN noti.address_hash(t.channel, t.recipient)
                          ELSE sha256(convert_to('user:' || t.user_ref, 'UTF8')) END) AS persons,
           array_agg(t.cap_amount) AS amounts, array_agg(t.cap_every) AS everys
      FROM timed AS t
     WHERE t.cap_amount IS NOT NULL AND t.ends_at IS NULL AND t.opens_at IS NULL
),
over_it AS MATERIALIZED (
    SELECT o.id, o.again_at, o.settled
      FROM capped
     CROSS JOIN LATERAL noti.take_places(capped.ids, capped.tenants, capped.categories, capped.persons, capped.amounts, capped.everys) AS o
     WHERE capped.ids IS NOT NULL
)
SELECT t.id, t.category, t.zone, cast(t.quiet_from AS text) AS quiet_from, cast(t.quiet_to AS text) AS quiet_to, t.ends_at,
       t.send_window, t.opens_at, t.cap_amount, t.cap_every, t.cap_over = 'drop' AND o.settled AS drops, o.again_at
  FROM timed AS t
  LEFT JOIN over_it AS o ON o.id = t.id
 WHERE t.ends_at IS NOT NULL OR t.opens_at IS NOT NULL OR o.id IS NOT NULL;

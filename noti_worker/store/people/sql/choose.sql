-- Keep what a person chose. Who wants a category again takes back that he left it, at each of his addresses of that channel.
\set user_ref '''42'''
\set tenant_id '''default'''
\set categories 'array[''news'']'
\set channels 'array[''email'']'
\set wanted 'array[''true'']'
\set frequencies 'array[''instant'']'
WITH wish AS MATERIALIZED (
    SELECT category, channel, cast(wanted AS boolean) AS wanted, nullif(frequency, '') AS frequency
      FROM unnest(cast(:categories AS text[]), cast(:channels AS text[]), cast(:wanted AS text[]), cast(:frequencies AS text[]))
           AS w (category, channel, wanted, frequency)
),
left_before AS MATERIALIZED (
    SELECT s.suppression_id
      FROM wish
      JOIN noti.contacts c
        ON c.tenant_id = cast(:tenant_id AS text) AND c.user_ref = cast(:user_ref AS text) AND c.channel = wish.channel AND c.left_at IS NULL
      JOIN noti.suppressions s
        ON s.address_hash = c.address_hash AND s.lifted_at IS NULL AND s.channel = c.channel AND s.tenant_id = c.tenant_id
       AND s.category = wish.category AND s.reason = 'optout'
     WHERE wish.wanted AND wish.category <> ''
)
SELECT (SELECT count(noti.choose(cast(:user_ref AS text), w.category, w.channel, w.wanted, w.frequency, cast(:tenant_id AS text),
                                 'the person, on the page of the link')) FROM wish w) AS chosen,
       (SELECT count(noti.lift(l.suppression_id, 'preferences', 'the person, on the page of the link')) FROM left_before l) AS lifted;

-- Whether somebody may send from there. What has an @ counts for e-mail, whatever the display name and the case, or as *@domain; anything
-- else, exactly, for phones. With none for a channel it is as if no list were there. domain/tenants.py says the same.
CREATE OR REPLACE FUNCTION noti.sender_among(channel text, sender text, allowed text[]) RETURNS boolean LANGUAGE sql IMMUTABLE SET search_path = pg_catalog, pg_temp AS $$
  SELECT coalesce(bool_or(
           CASE WHEN channel <> 'email' THEN a = btrim(sender)
                WHEN left(a, 2) = '*@' THEN substring(noti.address(sender) FROM '@[^@]*$') = lower(substr(a, 2) COLLATE "C")
                ELSE noti.address(sender) = noti.address(a) END), true)
    FROM unnest(allowed) AS a
   WHERE (strpos(a, '@') > 0) = (channel = 'email')
$$;

-- Where a message goes: the domain of an e-mail address, the host of a URL; NULL elsewhere. As the worker's own rules say
-- (domain/limits.py). With a body of this form it is read once, when it is made: it needs no search_path, and becomes part of the claim.
CREATE OR REPLACE FUNCTION noti.destination(channel text, recipient text) RETURNS text LANGUAGE sql IMMUTABLE PARALLEL SAFE
  RETURN CASE channel WHEN 'email' THEN lower(substring(recipient FROM '@([^@>]*)>?\s*$') COLLATE "C")
                      WHEN 'webhook' THEN lower(substring(recipient FROM '(?i)^https?://(\[[^\]]*\]|[^/?#:]+)') COLLATE "C") END;

-- What a notification has to do with somebody: 'recipient', 'copy', or NULL. E-mail does not tell A from a.
CREATE OR REPLACE FUNCTION noti.concerns(channel text, recipient text, options jsonb, who text) RETURNS text
  LANGUAGE sql IMMUTABLE SET search_path = pg_catalog, pg_temp AS $$
  SELECT CASE WHEN recipient = who OR channel = 'email' AND lower(recipient) = lower(who) THEN 'recipient'
              WHEN channel = 'email' AND jsonb_typeof(options) = 'object' AND options ?| '{cc,bcc,reply_to}'
                   AND lower(who) IN (SELECT noti.addresses(options)) THEN 'copy' END
$$;

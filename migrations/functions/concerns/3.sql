-- What a notification has to do with somebody: 'recipient', 'copy', or NULL. Addresses are compared as a whole, of e-mail
-- whatever the case and the display name, everything else exactly. A copy that waits for its own try is the message of whom that was to.
CREATE OR REPLACE FUNCTION noti.concerns(channel text, recipient text, options jsonb, who text) RETURNS text
  LANGUAGE sql IMMUTABLE SET search_path = pg_catalog, pg_temp AS $$
  SELECT CASE WHEN recipient = who OR channel = 'email' AND noti.address(who) IN (noti.address(recipient), noti.address(options->>'copy_of')) THEN 'recipient'
              WHEN channel = 'email' AND jsonb_typeof(options) = 'object' AND options ?| '{cc,bcc,reply_to}'
                   AND noti.address(who) IN (SELECT noti.addresses(options)) THEN 'copy' END
$$;

-- Of accounts that take receipts: seconds since the last request of their provider (of the last week), and whether messages
-- went out of which it could have told.
\set accounts 'array[''relay'']'
SELECT given.account,
       (SELECT extract(epoch FROM now() - max(r.received_at))::float8
          FROM noti.receipts_raw r
         WHERE r.account = given.account) AS seconds,
       EXISTS (
           SELECT
             FROM noti.notification_attempts_log t
            WHERE t.account = given.account
              AND t.status = 'sent'
              AND t.created_at BETWEEN now() - interval '1 day' AND now() - interval '1 hour') AS sent
  FROM unnest(cast(:accounts AS text[])) AS given (account)
 ORDER BY 1;

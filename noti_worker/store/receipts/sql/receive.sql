-- Take over receipts and replies, a JSON array, and look again for the notifications of those that are parked.
\set document '''[]'''
SELECT provider, kind, fate, count(*) AS count FROM noti.receive(cast(:document AS json)) GROUP BY 1, 2, 3;

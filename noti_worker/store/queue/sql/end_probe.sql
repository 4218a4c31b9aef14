-- Say what came of a probe; `ended` is false when it is not this worker's any more.
\set worker_id 1
\set account '''relay'''
\set ok true
\set reason '''accepted'''
\set first_wait NULL
\set longest_wait NULL
SELECT noti.end_probe(
           cast(:account AS text), cast(:worker_id AS bigint), cast(:ok AS boolean), cast(:reason AS text),
           cast(:first_wait AS interval), cast(:longest_wait AS interval)) AS ended;

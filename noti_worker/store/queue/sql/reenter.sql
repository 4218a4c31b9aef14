-- Enter the register again under the same id: a crash of the server empties it (it is unlogged), and the
-- leases in hand carry the id.
\set worker_id 1000
\set host '''localhost'''
\set pid 1
\set version '''0'''
\set state '''{}'''
INSERT INTO noti.workers (worker_id, host, pid, version, state)
VALUES (cast(:worker_id AS bigint), cast(:host AS text), cast(:pid AS int), cast(:version AS text),
        cast(:state AS jsonb))
ON CONFLICT (worker_id) DO NOTHING;

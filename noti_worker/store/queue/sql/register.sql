-- Enter the register of living workers.
\set host '''example'''
\set pid 1
\set version '''0'''
INSERT INTO noti.workers (host, pid, version)
VALUES (cast(:host AS text), cast(:pid AS int), cast(:version AS text))
RETURNING worker_id;

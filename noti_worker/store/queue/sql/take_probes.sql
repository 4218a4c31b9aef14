-- Take the circuits, of these accounts, that are to be tried now; nobody else gets them for the time of the lease.
\set worker_id 1
\set accounts 'array[''relay'']'
\set lease '''1 minute'''
SELECT p.name
  FROM noti.take_probes(cast(:worker_id AS bigint), cast(:accounts AS text[]), cast(:lease AS interval)) AS p (name);

-- Tell which accounts serve the channels of this worker, in place of what it told before.
\set worker_id 1
\set channels '''{email,email}'''
\set positions '''{1,2}'''
\set accounts '''{relay,spare}'''
\set providers '''{smtp,smtp}'''
\set modes '''{live,live}'''
WITH told AS MATERIALIZED (
    SELECT * FROM unnest(cast(:channels AS text[]), cast(:positions AS int[]), cast(:accounts AS text[]),
                         cast(:providers AS text[]), cast(:modes AS text[]))
               AS t (channel, position, account, provider, mode)
), gone AS (
    DELETE FROM noti.worker_routes r
     WHERE r.worker_id = cast(:worker_id AS bigint)
       AND NOT EXISTS (SELECT FROM told t WHERE (t.channel, t.position) = (r.channel, r.position))
)
INSERT INTO noti.worker_routes (worker_id, channel, position, account, provider, mode)
SELECT cast(:worker_id AS bigint), t.* FROM told t
ON CONFLICT (worker_id, channel, position)
DO UPDATE SET account = excluded.account, provider = excluded.provider, mode = excluded.mode;

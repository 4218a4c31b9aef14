-- Have the open circuits of these accounts probed now, or a minute after their last probe.
\set accounts 'array[''relay'']'
SELECT noti.hasten_probes(cast(:accounts AS text[])) AS hastened;

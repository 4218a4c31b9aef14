-- Put on the suppression list what was answered to these, in the transaction that records it.
\set ids 'array[1, 2]'
SELECT noti.suppress_answers(cast(:ids AS bigint[]));

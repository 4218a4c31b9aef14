-- What the last run of a duty left for everybody.
\set duty '''gauges'''
SELECT state FROM noti.duties WHERE duty = cast(:duty AS text);

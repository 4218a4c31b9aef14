-- Close digests whose window is over; not before :since is looked for what is due.
\set most 100
\set since '''-infinity'''
SELECT d.closed, d.seen, d.next_at FROM noti.close_digests(cast(:most AS int), cast(:since AS timestamptz)) AS d;

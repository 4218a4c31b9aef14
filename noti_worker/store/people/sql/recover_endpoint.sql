-- Tell an endpoint again what happened since an instant, or since so long ago.
\set tenant '''default'''
\set name '''crm'''
\set at 'NULL::timestamptz'
\set ago '''1 hour'''
SELECT noti.recover_endpoint(cast(:tenant AS text), cast(:name AS text),
                             coalesce(cast(:at AS timestamptz), clock_timestamp() - cast(:ago AS interval))) AS events;

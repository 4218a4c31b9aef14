-- Keep what a provider posted, as it came.
\set account '''relay'''
\set provider '''sendgrid'''
\set query ''''''
\set headers '''{}'''
\set body '''[]'''
INSERT INTO noti.receipts_raw (account, provider, query, headers, body)
VALUES (cast(:account AS text), cast(:provider AS text), cast(:query AS text), cast(:headers AS jsonb), cast(:body AS bytea));

-- Runs on the write store after the migrations, before the tests.
INSERT INTO entry (name, message, signed_at) VALUES ('Ada', 'The first <entry> & a good one.', 1700000000);

-- How often each charge was asked for. Whoever asks a second time wants the money a second time.
ALTER TABLE charge ADD COLUMN asked INTEGER NOT NULL DEFAULT 1;

ALTER TABLE note ADD COLUMN written timestamptz NOT NULL DEFAULT now();
INSERT INTO note (body) VALUES ('first');

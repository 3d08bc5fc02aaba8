-- Whose review it is: the digest of the random id in its author's cookie. None for reviews that programs sent, and for
-- those from before.
ALTER TABLE review ADD COLUMN visitor TEXT;

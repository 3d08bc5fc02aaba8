-- A review may come with a picture. `picture` is the hash of the blob that was sent, which no page names: a camera writes more
-- into it than its owner may know. What pages show is the thumbnail that a task makes of it; or the task says why there is none.
ALTER TABLE review ADD COLUMN picture TEXT;
ALTER TABLE review ADD COLUMN thumbnail TEXT CHECK (thumbnail IS NULL OR json_type(thumbnail) = 'object');  -- url, width, height
ALTER TABLE review ADD COLUMN picture_problem TEXT;

-- Pictures of people and logos of companies, as the API made them of uploads. A row is named by the hash of its files,
-- so that equal images are kept once and an address never shows another image.
CREATE TABLE images (
  hash text PRIMARY KEY CHECK (hash ~ '^[0-9a-f]{64}$'),
  created_at timestamptz NOT NULL DEFAULT now(),
  -- When a user or a company stopped using it; null: in use, as far as is known. The housekeeping looks at no others.
  unused_since timestamptz
);
CREATE INDEX images_unused ON images (unused_since) WHERE unused_since IS NOT NULL;

CREATE TABLE image_files (
  hash text NOT NULL REFERENCES images (hash) ON DELETE CASCADE,
  width smallint NOT NULL,
  type text NOT NULL CHECK (type IN ('avif', 'webp', 'jpeg')),
  bytes bytea NOT NULL,
  PRIMARY KEY (hash, width, type)
);
-- The bytes are compressed already.
ALTER TABLE image_files ALTER COLUMN bytes SET STORAGE EXTERNAL;

ALTER TABLE users ADD COLUMN picture text REFERENCES images (hash);
ALTER TABLE companies ADD COLUMN logo text REFERENCES images (hash);

-- Marks the image that a row no longer uses. It is a trigger, so that of two uploads at once each marks the one before.
CREATE FUNCTION image_replaced() RETURNS trigger
LANGUAGE plpgsql AS $$
BEGIN
  UPDATE images SET unused_since = now() WHERE hash = to_jsonb(OLD) ->> TG_ARGV[0];
  RETURN NULL;
END
$$;
CREATE TRIGGER picture_replaced AFTER UPDATE OF picture ON users
FOR EACH ROW WHEN (OLD.picture IS DISTINCT FROM NEW.picture) EXECUTE FUNCTION image_replaced('picture');
CREATE TRIGGER logo_replaced AFTER UPDATE OF logo ON companies
FOR EACH ROW WHEN (OLD.logo IS DISTINCT FROM NEW.logo) EXECUTE FUNCTION image_replaced('logo');

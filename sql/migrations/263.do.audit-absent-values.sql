-- An absent value stays absent: before this it was recorded as a value that is too long to keep. Sealed entries stay as
-- they are; there a length of null means that there was no value.
CREATE OR REPLACE FUNCTION audit_bounded(value jsonb) RETURNS jsonb
LANGUAGE sql IMMUTABLE AS $$
  SELECT CASE WHEN octet_length(value::text) > 4096
    THEN jsonb_build_object('bytes', octet_length(value::text), 'sha256', encode(sha256(convert_to(value::text, 'UTF8')), 'hex'))
    ELSE value
  END
$$;

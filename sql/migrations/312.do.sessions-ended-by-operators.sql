-- An operator ends a session of a customer whose device is lost.
ALTER TABLE sessions
  DROP CONSTRAINT sessions_end_reason_check,
  ADD CONSTRAINT sessions_end_reason_check
    CHECK (end_reason IN ('logout', 'reuse', 'owner', 'password', 'operator'));

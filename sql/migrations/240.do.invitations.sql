-- Companies invite their people: a one-time link goes to the address, and its holder sets the password. A row is deleted
-- when its link is used or withdrawn, and swept some time after it has lapsed. A row exists whether or not the address has
-- a user already, so that the inviter sees no difference.
CREATE TABLE invitations (
  id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  public_id text NOT NULL UNIQUE,
  company_id bigint NOT NULL REFERENCES companies (id),
  email text NOT NULL CHECK (email = lower(email)),
  name text NOT NULL,
  role text NOT NULL CHECK (role IN ('owner', 'admin', 'member')),
  -- SHA-256 of the link's token, which has 256 bits.
  token_hash bytea NOT NULL UNIQUE,
  -- The link is good only while this user could still give this role.
  invited_by bigint NOT NULL REFERENCES users (id),
  created_at timestamptz NOT NULL DEFAULT now(),
  expires_at timestamptz NOT NULL,
  -- Inviting an address again replaces its link.
  UNIQUE (company_id, email)
);
CREATE INDEX invitations_expiry ON invitations (expires_at);

-- Companies and the people who sign in. `id` is the number that the engine and the journal use; `public_id` is what the
-- API shows. Enumerations are text here: these tables are small and read by people.
CREATE TABLE companies (
  id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  public_id text NOT NULL UNIQUE,
  name text NOT NULL,
  version integer NOT NULL DEFAULT 1,
  created_at timestamptz NOT NULL DEFAULT now()
);

CREATE TABLE users (
  id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  public_id text NOT NULL UNIQUE,
  company_id bigint REFERENCES companies (id),
  role text CHECK (role IN ('owner', 'admin', 'member')),
  -- Kept in lower case, so that the plain unique index decides whether two addresses are the same.
  email text NOT NULL UNIQUE CHECK (email = lower(email)),
  name text NOT NULL,
  kind text NOT NULL CHECK (kind IN ('personal', 'business')),
  status text NOT NULL DEFAULT 'active' CHECK (status IN ('active', 'frozen', 'closed')),
  -- Null: cannot sign in with a password (seeded for load tests, or invited).
  password_hash text,
  version integer NOT NULL DEFAULT 1,
  created_at timestamptz NOT NULL DEFAULT now(),
  CHECK ((kind = 'business') = (company_id IS NOT NULL)),
  CHECK ((company_id IS NULL) = (role IS NULL))
);

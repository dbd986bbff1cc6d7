-- A name or an address that changes is a change like any other: it raises the version, so that the feed has it and what
-- is copied out of Postgres follows.
CREATE TRIGGER next_version_of_person BEFORE UPDATE OF name, email ON users
FOR EACH ROW WHEN (NEW.version = OLD.version AND (NEW.name, NEW.email) IS DISTINCT FROM (OLD.name, OLD.email))
EXECUTE FUNCTION next_version();

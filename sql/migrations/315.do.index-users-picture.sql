CREATE INDEX CONCURRENTLY IF NOT EXISTS users_picture ON users (picture) WHERE picture IS NOT NULL;

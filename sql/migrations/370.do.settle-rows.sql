-- Settling with rows in place of columns. A stretch came as sixty arrays, one a column. PostgreSQL read each value of
-- each array, copied it into the function's own form, and joined the arrays to rows again. One array of rows needs a
-- third of that. The functions of before stay for engines that were started before this migration.

-- One record, in journal order. `transaction` is null where it equals `request`.
CREATE TYPE settle_event AS (
  start integer, length integer, account bigint, card bigint, user_number bigint, amount bigint,
  approved_amount bigint, funds bigint, held bigint, posted bigint, id_hash bigint, at float8, type smallint,
  protocol smallint, reason smallint, detail smallint, approved boolean, request text, transaction text
);

-- A transaction that the stretch opens, with its follow-ups folded in. Its name is that of transaction_name().
CREATE TYPE settle_opening AS (
  name text, account bigint, card bigint, user_number bigint, amount bigint, approved_amount bigint, held bigint,
  posted bigint, refunded bigint, newest_amount bigint, expires_at float8, created_at float8, updated_at float8,
  spend_day integer, newest_day integer, type smallint, status smallint, reason smallint, detail smallint,
  mcc smallint, channel smallint, forced boolean, currency text, country text, merchant_id text, merchant_name text
);

-- A follow-up of a transaction of an earlier stretch. They come in rounds in which a transaction occurs once.
CREATE TYPE settle_follow_up AS (
  name text, status smallint, amount bigint, held bigint, posted bigint, refunded bigint, day integer, spend bigint,
  forced boolean, at float8, expires_at float8
);

-- The sum of what moves the books of an account.
CREATE TYPE settle_account AS (account bigint, funds bigint, held bigint, posted bigint);

-- What an entity spent on one day. They come in rounds in which an entity occurs once.
CREATE TYPE settle_window AS (
  level smallint, entity bigint, day integer, amount bigint, amount_floor bigint, count bigint, count_floor bigint
);

-- As in migration 361.
CREATE FUNCTION settle_transactions(
  p_partition integer, p_from bigint, p_bytes bytea, p_events settle_event[], p_opened settle_opening[],
  p_follow_ends integer[], p_followed settle_follow_up[]
) RETURNS void
LANGUAGE plpgsql AS $$
DECLARE
  first_index integer;
  last_index integer;
  row_count bigint;
  taken record;
  -- Apart from what a stretch sets apart itself (a positive number, see SettleFold) and from every other stretch.
  apart constant bigint := -(p_from + 1);
  -- 15 = original_closed: the authorization of a tombstone.
  may_be_there boolean := EXISTS (SELECT FROM unnest(p_opened) AS o WHERE o.reason = 15);
  -- Declined openings of this stretch whose ids belong to transactions that were there.
  set_apart text[] := '{}';
BEGIN
  IF EXISTS (SELECT FROM quarantined_records WHERE partition = p_partition) THEN
    IF EXISTS (
      SELECT FROM (
        SELECT o.name FROM unnest(p_opened) AS o UNION ALL SELECT f.name FROM unnest(p_followed) AS f
      ) AS n
      JOIN quarantined_records AS q ON q.partition = p_partition AND q.chain = name_key(n.name) AND q.sequence <= p_from
    ) THEN
      RAISE EXCEPTION 'an earlier record of the transaction is quarantined';
    END IF;
  END IF;

  INSERT INTO transaction_events (
    sequence, account_id, card_id, user_id, amount, approved_amount, available_delta, held_delta, posted_delta,
    external_delta, id_hash, at, partition, type, protocol, reason, detail, approved, transaction_id, request_id, record
  )
  SELECT
    p_from + e.number, e.account, e.card, e.user_number, e.amount, e.approved_amount, e.funds - e.held - e.posted,
    e.held, e.posted, -e.funds, e.id_hash, to_timestamp(e.at / 1000), p_partition, e.type, e.protocol, e.reason,
    e.detail, e.approved, coalesce(e.transaction, e.request), e.request,
    substring(p_bytes FROM e.start + 1 FOR e.length)
  FROM unnest(p_events) WITH ORDINALITY AS e (
    start, length, account, card, user_number, amount, approved_amount, funds, held, posted, id_hash, at, type,
    protocol, reason, detail, approved, request, transaction, number
  );

  LOOP
    IF may_be_there THEN
      FOR taken IN
        SELECT o.name AS id, o.status, t.status AS taken_status
        FROM unnest(p_opened) AS o
        JOIN transactions AS t ON t.id = o.name AND t.partition = p_partition AND t.occurrence = 0
        WHERE NOT o.name ^@ E'\x02'
      LOOP
        -- 5 = declined.
        IF taken.status = 5 AND taken.taken_status <> 5 THEN
          set_apart := set_apart || taken.id;
          UPDATE transaction_events SET transaction_id = transaction_name(taken.id, apart)
          WHERE request_id = taken.id AND transaction_id = taken.id AND partition = p_partition AND sequence > p_from;
        ELSE
          UPDATE transactions SET occurrence = apart
          WHERE id = taken.id AND partition = p_partition AND occurrence = 0;
          UPDATE transaction_events SET transaction_id = transaction_name(taken.id, apart)
          WHERE request_id = taken.id AND transaction_id = taken.id AND partition = p_partition AND sequence <= p_from;
          UPDATE transaction_events SET transaction_id = transaction_name(taken.id, apart)
          WHERE transaction_id = taken.id AND transaction_id <> request_id AND partition = p_partition
            AND sequence <= p_from;
        END IF;
      END LOOP;
    END IF;
    BEGIN
      INSERT INTO transactions (
        id, account_id, card_id, user_id, amount, approved_amount, held_amount, posted_amount, refunded_amount,
        newest_spend_amount, expires_at, created_at, updated_at, partition, spend_day, newest_spend_day, type, status,
        reason, detail, mcc, channel, forced, currency, country, merchant_id, merchant_name, occurrence
      )
      SELECT
        name_id(o.name), o.account, o.card, o.user_number, o.amount, o.approved_amount, o.held, o.posted, o.refunded,
        o.newest_amount, to_timestamp(o.expires_at / 1000),
        to_timestamp(o.created_at / 1000), to_timestamp(o.updated_at / 1000), p_partition, o.spend_day, o.newest_day,
        o.type, o.status, o.reason, o.detail, o.mcc, o.channel, o.forced, o.currency, o.country, o.merchant_id,
        o.merchant_name,
        CASE WHEN o.name = ANY (set_apart) THEN apart ELSE name_occurrence(o.name) END
      FROM unnest(p_opened) AS o;
      EXIT;
    EXCEPTION WHEN unique_violation THEN
      -- Plainly first: ON CONFLICT would insert every row twice over, for the sake of the few that are there.
      IF may_be_there THEN
        RAISE;
      END IF;
      may_be_there := true;
    END;
  END LOOP;

  first_index := 1;
  FOREACH last_index IN ARRAY p_follow_ends LOOP
    UPDATE transactions AS t SET
      status = CASE WHEN f.status = 0 THEN t.status ELSE f.status END,
      -- 4 = system_error: an approval that was taken back because it was late.
      reason = CASE WHEN f.status = 5 THEN 4 ELSE t.reason END,
      amount = t.amount + f.amount,
      approved_amount = CASE WHEN f.status = 5 THEN 0 ELSE t.approved_amount + f.amount END,
      held_amount = t.held_amount + f.held,
      posted_amount = t.posted_amount + f.posted,
      refunded_amount = t.refunded_amount + f.refunded,
      newest_spend_day = CASE WHEN f.spend > 0 THEN greatest(t.newest_spend_day, f.day) ELSE t.newest_spend_day END,
      newest_spend_amount = greatest(0, least(
        t.held_amount + f.held,
        CASE
          WHEN f.spend > 0 AND f.day > t.newest_spend_day THEN f.spend
          WHEN f.spend > 0 OR f.day = t.newest_spend_day THEN t.newest_spend_amount + f.spend
          ELSE t.newest_spend_amount
        END
      )),
      forced = t.forced OR f.forced,
      -- An increment may renew the hold.
      expires_at = greatest(t.expires_at, to_timestamp(f.expires_at / 1000)),
      updated_at = to_timestamp(f.at / 1000)
    FROM (
      -- The partition comes with each row, and OFFSET keeps it there: see migration 361.
      SELECT r.*, name_id(r.name) AS id, name_occurrence(r.name) AS occurrence, p_partition AS partition
      FROM unnest(p_followed[first_index:last_index]) AS r OFFSET 0
    ) AS f
    WHERE t.id = f.id AND t.partition = f.partition AND t.occurrence = f.occurrence;
    GET DIAGNOSTICS row_count = ROW_COUNT;
    IF row_count <> last_index - first_index + 1 THEN
      RAISE EXCEPTION 'partition %, after sequence %: a message follows a transaction that was never opened: %',
        p_partition, p_from,
        (SELECT string_agg(f.id, ', ') FROM (
          SELECT name_id(f.name) AS id FROM unnest(p_followed[first_index:last_index]) AS f
          WHERE NOT EXISTS (
            SELECT FROM transactions AS t
            WHERE t.id = name_id(f.name) AND t.partition = p_partition AND t.occurrence = name_occurrence(f.name)
          ) LIMIT 5) AS f);
    END IF;
    first_index := last_index + 1;
  END LOOP;
END
$$;

-- As in migration 153. The accounts come in the order of their numbers, in which every statement locks them.
-- An error begins with p_place.
CREATE FUNCTION settle_books(p_accounts settle_account[], p_place text) RETURNS void
LANGUAGE plpgsql AS $$
DECLARE
  row_count bigint;
BEGIN
  UPDATE accounts AS a SET
    funds = a.funds + d.funds,
    held = a.held + d.held,
    posted = a.posted + d.posted,
    available = a.available + d.funds - d.held - d.posted
  FROM unnest(p_accounts) AS d
  WHERE a.id = d.account;
  GET DIAGNOSTICS row_count = ROW_COUNT;
  IF row_count <> cardinality(p_accounts) THEN
    RAISE EXCEPTION '%: % of % accounts do not exist',
      p_place, cardinality(p_accounts) - row_count, cardinality(p_accounts);
  END IF;
END
$$;

-- As in migration 152.
CREATE FUNCTION settle_windows(p_window_ends integer[], p_windows settle_window[]) RETURNS void
LANGUAGE plpgsql AS $$
DECLARE
  first_index integer;
  last_index integer;
  row_count bigint;
BEGIN
  first_index := 1;
  FOREACH last_index IN ARRAY p_window_ends LOOP
    UPDATE spend_windows AS s SET
      spend_day = greatest(s.spend_day, w.day),
      daily_amount = spend_sum(
        s.daily_amount, w.day = s.spend_day, w.day > s.spend_day, w.amount, w.amount_floor
      ),
      daily_count = spend_sum(
        s.daily_count, w.day = s.spend_day, w.day > s.spend_day, w.count, w.count_floor
      ),
      weekly_amount = spend_sum(
        s.weekly_amount, w.day = s.spend_day OR spend_week(w.day) = spend_week(s.spend_day),
        w.day > s.spend_day, w.amount, w.amount_floor
      ),
      weekly_count = spend_sum(
        s.weekly_count, w.day = s.spend_day OR spend_week(w.day) = spend_week(s.spend_day),
        w.day > s.spend_day, w.count, w.count_floor
      ),
      monthly_amount = spend_sum(
        s.monthly_amount, w.day = s.spend_day OR spend_month(w.day) = spend_month(s.spend_day),
        w.day > s.spend_day, w.amount, w.amount_floor
      ),
      monthly_count = spend_sum(
        s.monthly_count, w.day = s.spend_day OR spend_month(w.day) = spend_month(s.spend_day),
        w.day > s.spend_day, w.count, w.count_floor
      ),
      yearly_amount = spend_sum(
        s.yearly_amount, w.day = s.spend_day OR spend_year(w.day) = spend_year(s.spend_day),
        w.day > s.spend_day, w.amount, w.amount_floor
      ),
      yearly_count = spend_sum(
        s.yearly_count, w.day = s.spend_day OR spend_year(w.day) = spend_year(s.spend_day),
        w.day > s.spend_day, w.count, w.count_floor
      ),
      lifetime_amount = greatest(w.amount_floor, s.lifetime_amount + w.amount),
      lifetime_count = greatest(w.count_floor, s.lifetime_count + w.count)
    FROM unnest(p_windows[first_index:last_index]) AS w
    WHERE s.level = w.level AND s.entity_id = w.entity;
    GET DIAGNOSTICS row_count = ROW_COUNT;
    -- Updating first and inserting the few that are new is cheaper than ON CONFLICT, which locks every row before it
    -- updates it. The partition is the only writer, so no other statement inserts in between.
    IF row_count < last_index - first_index + 1 THEN
      INSERT INTO spend_windows (
        level, entity_id, spend_day, daily_amount, weekly_amount, monthly_amount, yearly_amount, lifetime_amount,
        daily_count, weekly_count, monthly_count, yearly_count, lifetime_count
      )
      SELECT
        w.level, w.entity, w.day, sums.amount, sums.amount, sums.amount, sums.amount, sums.amount,
        sums.count, sums.count, sums.count, sums.count, sums.count
      FROM unnest(p_windows[first_index:last_index]) AS w
      CROSS JOIN LATERAL (
        SELECT greatest(w.amount_floor, w.amount) AS amount, greatest(w.count_floor, w.count) AS count
      ) AS sums
      WHERE NOT EXISTS (
        SELECT FROM spend_windows AS s WHERE s.level = w.level AND s.entity_id = w.entity
      );
    END IF;
    first_index := last_index + 1;
  END LOOP;
END
$$;

-- Settles one stretch of one partition's journal: events, transactions, books, windows and the position, all in this
-- one statement, so all or nothing and exactly once. Returns false and changes nothing when the position is not p_from.
CREATE FUNCTION settle(
  p_partition integer, p_from bigint, p_to bigint, p_bytes bytea, p_events settle_event[], p_opened settle_opening[],
  p_follow_ends integer[], p_followed settle_follow_up[], p_accounts settle_account[], p_window_ends integer[],
  p_windows settle_window[]
) RETURNS boolean
LANGUAGE plpgsql
-- The arrays are small against the tables, whatever the statistics say: always look up by key.
SET enable_seqscan = off
SET enable_hashjoin = off
SET enable_mergejoin = off
SET plan_cache_mode = force_generic_plan
AS $$
BEGIN
  UPDATE journal_positions SET sequence = p_to, updated_at = clock_timestamp()
  WHERE partition = p_partition AND sequence = p_from;
  IF NOT FOUND THEN
    IF NOT EXISTS (SELECT FROM journal_positions WHERE partition = p_partition) THEN
      -- Not a fault of the records: see isDataError in workers/settle/quarantine.ts.
      RAISE EXCEPTION 'partition % has no journal position: open it before settling', p_partition
        USING ERRCODE = 'object_not_in_prerequisite_state';
    END IF;
    RETURN false;
  END IF;
  IF p_to - p_from <> cardinality(p_events) THEN
    RAISE EXCEPTION 'partition %: % records for the sequences % to %',
      p_partition, cardinality(p_events), p_from + 1, p_to USING ERRCODE = 'object_not_in_prerequisite_state';
  END IF;

  PERFORM settle_transactions(p_partition, p_from, p_bytes, p_events, p_opened, p_follow_ends, p_followed);
  PERFORM settle_books(p_accounts, format('partition %s, sequences %s to %s', p_partition, p_from + 1, p_to));
  PERFORM settle_windows(p_window_ends, p_windows);
  RETURN true;
END
$$;

-- As in migration 153.
CREATE FUNCTION quarantine_record(
  p_partition integer, p_sequence bigint, p_record bytea, p_chain uuid, p_request uuid, p_id_hash bigint,
  p_chain_state jsonb, p_sqlstate text, p_error text, p_accounts settle_account[], p_window_ends integer[],
  p_windows settle_window[]
) RETURNS boolean
LANGUAGE plpgsql
-- The arrays are small against the tables, whatever the statistics say: always look up by key.
SET enable_seqscan = off
SET enable_hashjoin = off
SET enable_mergejoin = off
SET plan_cache_mode = force_generic_plan
AS $$
DECLARE
  books_kept boolean := true;
  windows_kept boolean := true;
BEGIN
  UPDATE journal_positions SET sequence = p_sequence, updated_at = clock_timestamp()
  WHERE partition = p_partition AND sequence = p_sequence - 1;
  IF NOT FOUND THEN
    RETURN false;
  END IF;
  BEGIN
    PERFORM settle_books(p_accounts, 'quarantined record');
  EXCEPTION WHEN data_exception OR integrity_constraint_violation OR plpgsql_error THEN
    books_kept := false;
  END;
  BEGIN
    PERFORM settle_windows(p_window_ends, p_windows);
  EXCEPTION WHEN data_exception OR integrity_constraint_violation OR plpgsql_error THEN
    windows_kept := false;
  END;
  INSERT INTO quarantined_records (
    partition, sequence, chain, request, id_hash, account_id, funds_delta, held_delta, posted_delta, books_kept,
    windows_kept, chain_state, sqlstate, error, record
  ) VALUES (
    p_partition, p_sequence, p_chain, p_request, p_id_hash, p_accounts[1].account, coalesce(p_accounts[1].funds, 0),
    coalesce(p_accounts[1].held, 0), coalesce(p_accounts[1].posted, 0), books_kept, windows_kept, p_chain_state,
    p_sqlstate, p_error, p_record
  );
  RETURN true;
END
$$;

-- As in migration 153; the parameters are those of settle(), of this record alone.
CREATE FUNCTION retry_quarantined(
  p_partition integer, p_from bigint, p_bytes bytea, p_events settle_event[], p_opened settle_opening[],
  p_follow_ends integer[], p_followed settle_follow_up[], p_accounts settle_account[], p_window_ends integer[],
  p_windows settle_window[]
) RETURNS boolean
LANGUAGE plpgsql
-- The arrays are small against the tables, whatever the statistics say: always look up by key.
SET enable_seqscan = off
SET enable_hashjoin = off
SET enable_mergejoin = off
SET plan_cache_mode = force_generic_plan
AS $$
DECLARE
  waiting quarantined_records;
BEGIN
  -- One after the other with the statements of the engine that settles this partition.
  PERFORM FROM journal_positions WHERE partition = p_partition FOR UPDATE;
  DELETE FROM quarantined_records WHERE partition = p_partition AND sequence = p_from + 1 RETURNING * INTO waiting;
  IF NOT FOUND THEN
    RETURN false;
  END IF;
  PERFORM settle_transactions(p_partition, p_from, p_bytes, p_events, p_opened, p_follow_ends, p_followed);
  IF NOT waiting.books_kept THEN
    PERFORM settle_books(p_accounts, 'quarantined record');
  END IF;
  IF NOT waiting.windows_kept THEN
    PERFORM settle_windows(p_window_ends, p_windows);
  END IF;
  RETURN true;
END
$$;

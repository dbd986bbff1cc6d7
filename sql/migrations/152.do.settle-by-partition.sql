-- A transaction is found by its id and its partition: see 150.
ALTER TABLE transactions DROP CONSTRAINT transactions_pkey;
ALTER TABLE transactions ADD CONSTRAINT transactions_pkey PRIMARY KEY USING INDEX transactions_name;

-- The name of a row within its partition, as journal records and transaction_events.transaction_id have it: the id, or
-- behind a character that no id has, the occurrence and the id.
CREATE FUNCTION transaction_name(id text, occurrence bigint) RETURNS text
LANGUAGE sql IMMUTABLE PARALLEL SAFE
RETURN CASE WHEN occurrence = 0 THEN id ELSE E'\x02' || occurrence || ':' || id END;

CREATE FUNCTION name_id(name text) RETURNS text
LANGUAGE sql IMMUTABLE PARALLEL SAFE
RETURN CASE WHEN name ^@ E'\x02' THEN substr(name, strpos(name, ':') + 1) ELSE name END;

CREATE FUNCTION name_occurrence(name text) RETURNS bigint
LANGUAGE sql IMMUTABLE PARALLEL SAFE
RETURN CASE WHEN name ^@ E'\x02' THEN substr(name, 2, strpos(name, ':') - 2)::bigint ELSE 0 END;

-- The whole of a transaction by its name, oldest first. Written so that both indexes on transaction_events serve it.
DROP FUNCTION transaction_history(text);
CREATE FUNCTION transaction_history(of_partition integer, name text) RETURNS SETOF transaction_events
LANGUAGE sql STABLE AS $$
  SELECT * FROM (
    SELECT * FROM transaction_events
    WHERE request_id = name AND transaction_id = name AND partition = of_partition
    UNION ALL
    SELECT * FROM transaction_events
    WHERE transaction_id = name AND transaction_id <> request_id AND partition = of_partition
  ) AS chain
  ORDER BY sequence
$$;

-- A transaction never changes hands. settle() adds a row instead, so this refuses without exception.
DROP TRIGGER transactions_keep_owner ON transactions;
CREATE TRIGGER transactions_keep_owner BEFORE UPDATE OF account_id, partition ON transactions
FOR EACH ROW
WHEN (OLD.account_id IS DISTINCT FROM NEW.account_id OR OLD.partition <> NEW.partition)
EXECUTE FUNCTION refuse_transaction_owner_change();

-- Writes the events and transactions of one stretch: all that a partition can decide has its place here. An id that is
-- opened again (the partition had forgotten it) gets a second row:
--   - a declined opening takes nothing from a transaction that was approved, nor from a tombstone (a reversal that came
--     before its authorization): what follows goes on to belong to those, and the declined row is set apart;
--   - every other opening takes the id over, and the older row is set apart under a name of its own.
CREATE FUNCTION settle_transactions(
  p_partition integer, p_from bigint,
  p_bytes bytea, p_offsets integer[], p_lengths integer[],
  e_account bigint[], e_card bigint[], e_user bigint[], e_amount bigint[], e_approved_amount bigint[],
  e_available bigint[], e_held bigint[], e_posted bigint[], e_external bigint[], e_id_hash bigint[], e_at float8[],
  e_type smallint[], e_protocol smallint[], e_reason smallint[], e_detail smallint[], e_approved boolean[],
  e_transaction text[], e_request text[],
  o_id text[], o_account bigint[], o_card bigint[], o_user bigint[], o_amount bigint[], o_approved_amount bigint[],
  o_held bigint[], o_posted bigint[], o_refunded bigint[], o_newest_amount bigint[], o_expires_at float8[],
  o_created_at float8[], o_updated_at float8[], o_spend_day integer[], o_newest_day integer[], o_type smallint[],
  o_status smallint[], o_reason smallint[], o_detail smallint[], o_mcc smallint[], o_channel smallint[],
  o_forced boolean[], o_currency text[], o_country text[], o_merchant_id text[], o_merchant_name text[],
  f_round_ends integer[], f_id text[], f_status smallint[], f_amount bigint[], f_held bigint[], f_posted bigint[],
  f_refunded bigint[], f_day integer[], f_spend bigint[], f_forced boolean[], f_at float8[], f_expires_at float8[]
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
  may_be_there boolean := 15 = ANY (o_reason);
  o_occurrence bigint[] := array_fill(0::bigint, ARRAY[cardinality(o_id)]);
  f_occurrence bigint[] := array_fill(0::bigint, ARRAY[cardinality(f_id)]);
BEGIN
  INSERT INTO transaction_events (
    sequence, account_id, card_id, user_id, amount, approved_amount, available_delta, held_delta, posted_delta,
    external_delta, id_hash, at, partition, type, protocol, reason, detail, approved, transaction_id, request_id, record
  )
  SELECT
    p_from + e.number, e.account, e.card, e.user_number, e.amount, e.approved_amount, e.available, e.held, e.posted,
    e.external, e.id_hash, to_timestamp(e.at / 1000), p_partition, e.type, e.protocol, e.reason, e.detail, e.approved,
    coalesce(e.transaction, e.request), e.request, substring(p_bytes FROM e.start + 1 FOR e.length)
  FROM unnest(
    p_offsets, p_lengths, e_account, e_card, e_user, e_amount, e_approved_amount, e_available, e_held, e_posted,
    e_external, e_id_hash, e_at, e_type, e_protocol, e_reason, e_detail, e_approved, e_transaction, e_request
  ) WITH ORDINALITY AS e (
    start, length, account, card, user_number, amount, approved_amount, available, held, posted, external, id_hash, at,
    type, protocol, reason, detail, approved, transaction, request, number
  );

  IF EXISTS (SELECT FROM unnest(o_id) AS o (name) WHERE o.name ^@ E'\x02') THEN
    SELECT array_agg(name_id(o.name) ORDER BY o.number), array_agg(name_occurrence(o.name) ORDER BY o.number)
    INTO o_id, o_occurrence FROM unnest(o_id) WITH ORDINALITY AS o (name, number);
  END IF;
  IF EXISTS (SELECT FROM unnest(f_id) AS f (name) WHERE f.name ^@ E'\x02') THEN
    SELECT array_agg(name_id(f.name) ORDER BY f.number), array_agg(name_occurrence(f.name) ORDER BY f.number)
    INTO f_id, f_occurrence FROM unnest(f_id) WITH ORDINALITY AS f (name, number);
  END IF;

  LOOP
    IF may_be_there THEN
      FOR taken IN
        SELECT o.number, o.id, o.status, t.status AS taken_status
        FROM unnest(o_id, o_status, o_occurrence) WITH ORDINALITY AS o (id, status, occurrence, number)
        JOIN transactions AS t ON t.id = o.id AND t.partition = p_partition AND t.occurrence = 0
        WHERE o.occurrence = 0
      LOOP
        -- 5 = declined.
        IF taken.status = 5 AND taken.taken_status <> 5 THEN
          o_occurrence[taken.number] := apart;
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
        o.id, o.account, o.card, o.user_number, o.amount, o.approved_amount, o.held, o.posted, o.refunded,
        o.newest_amount, to_timestamp(o.expires_at / 1000), to_timestamp(o.created_at / 1000),
        to_timestamp(o.updated_at / 1000), p_partition, o.spend_day, o.newest_day, o.type, o.status, o.reason, o.detail,
        o.mcc, o.channel, o.forced, o.currency, o.country, o.merchant_id, o.merchant_name, o.occurrence
      FROM unnest(
        o_id, o_account, o_card, o_user, o_amount, o_approved_amount, o_held, o_posted, o_refunded, o_newest_amount,
        o_expires_at, o_created_at, o_updated_at, o_spend_day, o_newest_day, o_type, o_status, o_reason, o_detail,
        o_mcc, o_channel, o_forced, o_currency, o_country, o_merchant_id, o_merchant_name, o_occurrence
      ) AS o (
        id, account, card, user_number, amount, approved_amount, held, posted, refunded, newest_amount, expires_at,
        created_at, updated_at, spend_day, newest_day, type, status, reason, detail, mcc, channel, forced, currency,
        country, merchant_id, merchant_name, occurrence
      );
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
  FOREACH last_index IN ARRAY f_round_ends LOOP
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
    FROM unnest(
      f_id[first_index:last_index], f_occurrence[first_index:last_index], f_status[first_index:last_index],
      f_amount[first_index:last_index], f_held[first_index:last_index], f_posted[first_index:last_index],
      f_refunded[first_index:last_index], f_day[first_index:last_index], f_spend[first_index:last_index],
      f_forced[first_index:last_index], f_at[first_index:last_index], f_expires_at[first_index:last_index]
    ) AS f (id, occurrence, status, amount, held, posted, refunded, day, spend, forced, at, expires_at)
    WHERE t.id = f.id AND t.partition = p_partition AND t.occurrence = f.occurrence;
    GET DIAGNOSTICS row_count = ROW_COUNT;
    IF row_count <> last_index - first_index + 1 THEN
      RAISE EXCEPTION 'partition %, after sequence %: a message follows a transaction that was never opened: %',
        p_partition, p_from,
        (SELECT string_agg(f.id, ', ') FROM (
          SELECT f.id
          FROM unnest(f_id[first_index:last_index], f_occurrence[first_index:last_index]) AS f (id, occurrence)
          WHERE NOT EXISTS (
            SELECT FROM transactions AS t
            WHERE t.id = f.id AND t.partition = p_partition AND t.occurrence = f.occurrence
          ) LIMIT 5) AS f);
    END IF;
    first_index := last_index + 1;
  END LOOP;
END
$$;

-- Adds what a stretch spent to the windows, in rounds in which an entity occurs once.
CREATE FUNCTION settle_windows(
  w_round_ends integer[], w_level smallint[], w_entity bigint[], w_day integer[], w_amount bigint[],
  w_amount_floor bigint[], w_count bigint[], w_count_floor bigint[]
) RETURNS void
LANGUAGE plpgsql AS $$
DECLARE
  first_index integer;
  last_index integer;
  row_count bigint;
BEGIN
  first_index := 1;
  FOREACH last_index IN ARRAY w_round_ends LOOP
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
    FROM unnest(
      w_level[first_index:last_index], w_entity[first_index:last_index], w_day[first_index:last_index],
      w_amount[first_index:last_index], w_amount_floor[first_index:last_index],
      w_count[first_index:last_index], w_count_floor[first_index:last_index]
    ) AS w (level, entity, day, amount, amount_floor, count, count_floor)
    WHERE s.level = w.level AND s.entity_id = w.entity;
    GET DIAGNOSTICS row_count = ROW_COUNT;
    -- Updating first and inserting the few that are new is cheaper than ON CONFLICT, which locks every row before it
    -- updates it. The partition is the only writer, so nobody inserts in between.
    IF row_count < last_index - first_index + 1 THEN
      INSERT INTO spend_windows (
        level, entity_id, spend_day, daily_amount, weekly_amount, monthly_amount, yearly_amount, lifetime_amount,
        daily_count, weekly_count, monthly_count, yearly_count, lifetime_count
      )
      SELECT
        w.level, w.entity, w.day, sums.amount, sums.amount, sums.amount, sums.amount, sums.amount,
        sums.count, sums.count, sums.count, sums.count, sums.count
      FROM unnest(
        w_level[first_index:last_index], w_entity[first_index:last_index], w_day[first_index:last_index],
        w_amount[first_index:last_index], w_amount_floor[first_index:last_index],
        w_count[first_index:last_index], w_count_floor[first_index:last_index]
      ) AS w (level, entity, day, amount, amount_floor, count, count_floor)
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

-- Settles one stretch of one partition's journal: events, transactions, books, spend windows and the position, all in
-- this one statement, so all or nothing and exactly once. Called by workers/settle.ts, which has folded the stretch:
--   e_…  one entry per record, in order; e_transaction null where it equals e_request
--   o_…  transactions that the stretch opens, with their follow-ups folded in
--   f_…  follow-ups of transactions opened earlier, in rounds so that a transaction occurs once per round
--   a_…  sums per account
--   w_…  spend per entity, in rounds so that an entity occurs once per round
-- e_transaction, o_id and f_id are names (see transaction_name).
-- Returns false and changes nothing when the position is not p_from: the stretch was settled already.
CREATE FUNCTION settle(
  p_partition integer, p_from bigint, p_to bigint,
  p_bytes bytea, p_offsets integer[], p_lengths integer[],
  e_account bigint[], e_card bigint[], e_user bigint[], e_amount bigint[], e_approved_amount bigint[],
  e_available bigint[], e_held bigint[], e_posted bigint[], e_external bigint[], e_id_hash bigint[], e_at float8[],
  e_type smallint[], e_protocol smallint[], e_reason smallint[], e_detail smallint[], e_approved boolean[],
  e_transaction text[], e_request text[],
  o_id text[], o_account bigint[], o_card bigint[], o_user bigint[], o_amount bigint[], o_approved_amount bigint[],
  o_held bigint[], o_posted bigint[], o_refunded bigint[], o_newest_amount bigint[], o_expires_at float8[],
  o_created_at float8[], o_updated_at float8[], o_spend_day integer[], o_newest_day integer[], o_type smallint[],
  o_status smallint[], o_reason smallint[], o_detail smallint[], o_mcc smallint[], o_channel smallint[],
  o_forced boolean[], o_currency text[], o_country text[], o_merchant_id text[], o_merchant_name text[],
  f_round_ends integer[], f_id text[], f_status smallint[], f_amount bigint[], f_held bigint[], f_posted bigint[],
  f_refunded bigint[], f_day integer[], f_spend bigint[], f_forced boolean[], f_at float8[],
  f_expires_at float8[],
  a_id bigint[], a_funds bigint[], a_held bigint[], a_posted bigint[],
  w_round_ends integer[], w_level smallint[], w_entity bigint[], w_day integer[], w_amount bigint[],
  w_amount_floor bigint[], w_count bigint[], w_count_floor bigint[]
) RETURNS boolean
LANGUAGE plpgsql
-- The arrays are small against the tables, whatever the statistics say: always look up by key.
SET enable_seqscan = off
SET enable_hashjoin = off
SET enable_mergejoin = off
SET plan_cache_mode = force_generic_plan
AS $$
DECLARE
  row_count bigint;
BEGIN
  UPDATE journal_positions SET sequence = p_to, updated_at = clock_timestamp()
  WHERE partition = p_partition AND sequence = p_from;
  IF NOT FOUND THEN
    IF NOT EXISTS (SELECT FROM journal_positions WHERE partition = p_partition) THEN
      -- Not a fault of the records: see isDataError in workers/settle.ts.
      RAISE EXCEPTION 'partition % has no journal position: open it before settling', p_partition
        USING ERRCODE = 'object_not_in_prerequisite_state';
    END IF;
    RETURN false;
  END IF;
  IF p_to - p_from <> cardinality(p_offsets) THEN
    RAISE EXCEPTION 'partition %: % records for the sequences % to %',
      p_partition, cardinality(p_offsets), p_from + 1, p_to USING ERRCODE = 'object_not_in_prerequisite_state';
  END IF;

  PERFORM settle_transactions(
    p_partition, p_from, p_bytes, p_offsets, p_lengths, e_account, e_card, e_user, e_amount, e_approved_amount,
    e_available, e_held, e_posted, e_external, e_id_hash, e_at, e_type, e_protocol, e_reason, e_detail, e_approved,
    e_transaction, e_request, o_id, o_account, o_card, o_user, o_amount, o_approved_amount, o_held, o_posted,
    o_refunded, o_newest_amount, o_expires_at, o_created_at, o_updated_at, o_spend_day, o_newest_day, o_type,
    o_status, o_reason, o_detail, o_mcc, o_channel, o_forced, o_currency, o_country, o_merchant_id, o_merchant_name,
    f_round_ends, f_id, f_status, f_amount, f_held, f_posted, f_refunded, f_day, f_spend, f_forced, f_at, f_expires_at
  );

  UPDATE accounts AS a SET
    funds = a.funds + d.funds,
    held = a.held + d.held,
    posted = a.posted + d.posted,
    available = a.available + d.funds - d.held - d.posted
  FROM unnest(a_id, a_funds, a_held, a_posted) AS d (id, funds, held, posted)
  WHERE a.id = d.id;
  GET DIAGNOSTICS row_count = ROW_COUNT;
  IF row_count <> cardinality(a_id) THEN
    RAISE EXCEPTION 'partition %, sequences % to %: % of % accounts do not exist',
      p_partition, p_from + 1, p_to, cardinality(a_id) - row_count, cardinality(a_id);
  END IF;

  PERFORM settle_windows(
    w_round_ends, w_level, w_entity, w_day, w_amount, w_amount_floor, w_count, w_count_floor
  );
  RETURN true;
END
$$;

-- The same as an engine of an earlier version calls it: it goes on settling while a deployment replaces it.
CREATE OR REPLACE FUNCTION settle(
  p_partition integer, p_from bigint, p_to bigint,
  p_bytes bytea, p_offsets integer[], p_lengths integer[],
  e_account bigint[], e_card bigint[], e_user bigint[], e_amount bigint[], e_approved_amount bigint[],
  e_available bigint[], e_held bigint[], e_posted bigint[], e_external bigint[], e_id_hash bigint[], e_at float8[],
  e_type smallint[], e_protocol smallint[], e_reason smallint[], e_detail smallint[], e_approved boolean[],
  e_transaction text[], e_request text[],
  o_id text[], o_account bigint[], o_card bigint[], o_user bigint[], o_amount bigint[], o_approved_amount bigint[],
  o_held bigint[], o_posted bigint[], o_refunded bigint[], o_newest_amount bigint[], o_expires_at float8[],
  o_created_at float8[], o_updated_at float8[], o_spend_day integer[], o_newest_day integer[], o_type smallint[],
  o_status smallint[], o_reason smallint[], o_detail smallint[], o_mcc smallint[], o_channel smallint[],
  o_forced boolean[], o_currency text[], o_country text[], o_merchant_id text[], o_merchant_name text[],
  f_round_ends integer[], f_id text[], f_status smallint[], f_amount bigint[], f_held bigint[], f_posted bigint[],
  f_refunded bigint[], f_day integer[], f_spend bigint[], f_forced boolean[], f_at float8[],
  a_id bigint[], a_funds bigint[], a_held bigint[], a_posted bigint[],
  w_round_ends integer[], w_level smallint[], w_entity bigint[], w_day integer[], w_amount bigint[],
  w_amount_floor bigint[], w_count bigint[], w_count_floor bigint[]
) RETURNS boolean
LANGUAGE sql
RETURN settle(
  p_partition, p_from, p_to, p_bytes, p_offsets, p_lengths, e_account, e_card, e_user, e_amount, e_approved_amount,
  e_available, e_held, e_posted, e_external, e_id_hash, e_at, e_type, e_protocol, e_reason, e_detail, e_approved,
  e_transaction, e_request, o_id, o_account, o_card, o_user, o_amount, o_approved_amount, o_held, o_posted,
  o_refunded, o_newest_amount, o_expires_at, o_created_at, o_updated_at, o_spend_day, o_newest_day, o_type, o_status,
  o_reason, o_detail, o_mcc, o_channel, o_forced, o_currency, o_country, o_merchant_id, o_merchant_name, f_round_ends,
  f_id, f_status, f_amount, f_held, f_posted, f_refunded, f_day, f_spend, f_forced, f_at,
  array_fill(NULL::float8, ARRAY[cardinality(f_id)]), a_id, a_funds, a_held, a_posted, w_round_ends, w_level,
  w_entity, w_day, w_amount, w_amount_floor, w_count, w_count_floor
);

-- As in migration 153, but for the update of transactions that a stretch follows: the partition comes with each row.
-- With the partition as a condition of the table alone, a plan that was made while the table was empty read all
-- transactions of the partition, for each stretch, until autovacuum had counted the table. Now each is found by key.
CREATE OR REPLACE FUNCTION settle_transactions(
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
  IF EXISTS (SELECT FROM quarantined_records WHERE partition = p_partition) THEN
    IF EXISTS (
      SELECT FROM unnest(o_id || f_id) AS n (name)
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
      f_forced[first_index:last_index], f_at[first_index:last_index], f_expires_at[first_index:last_index],
      array_fill(p_partition, ARRAY[last_index - first_index + 1])
    ) AS f (id, occurrence, status, amount, held, posted, refunded, day, spend, forced, at, expires_at, partition)
    WHERE t.id = f.id AND t.partition = f.partition AND t.occurrence = f.occurrence;
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

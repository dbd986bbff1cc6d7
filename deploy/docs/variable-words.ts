/**
 * What docs/configuration.md says of each variable beside its rule, which the code has. A test compares the names with
 * those that the code reads.
 */

export interface VariableWords {
  readonly unit?: string;
  /** Where the code has no constant: what happens without the variable. */
  readonly default?: string;
  /** Readers beside the engine and the account API. */
  readonly tools?: string;
  readonly does: string;
  readonly low?: string;
  readonly high?: string;
  /** Metrics that show the effect. */
  readonly seen?: readonly string[];
  /** `fixed`: for the life of the database. `same`: alike in all engines and APIs of a database. */
  readonly kind?: 'fixed' | 'same';
}

export interface VariableGroup {
  readonly title: string;
  readonly variables: Readonly<Record<string, VariableWords>>;
}

const perPartition = 'entries';
const fromToken = 'from `ENGINE_TOKEN`';
/** Bounds on requests to the account API; `make run` raises them in its demo. */
const requestBound = {
  unit: 'requests',
  tools: '`make run` raises it in its demo',
  seen: ['requests_refused_total'],
};

export const variableGroups: readonly VariableGroup[] = [
  {
    title: 'Databases and secrets',
    variables: {
      DATABASE_URL: {
        tools: 'all tools',
        does:
          'URL of the PostgreSQL database (version 15 to 18), with the role of the process. Each process has a role ' +
          'of its own ([security](security.md#database-roles)). Several hosts (`host:port,host:port`) are a primary ' +
          'and its standbys ([failover](runbook.md#failover)). `make run`, `make seed` and `make audit` use the ' +
          'embedded PostgreSQL without it.',
      },
      DATABASE_DIRECT_URL: {
        default: '`DATABASE_URL`',
        does:
          'URL of the same database past any pooler, with the same role: LISTEN and the lock of the relay need a ' +
          'session of their own ([pooler](runbook.md#pooler)).',
      },
      PROCESSOR_USER: {
        tools: '`make run`',
        does: 'User name of the card processor in Basic authentication, without a colon.',
      },
      PROCESSOR_PASSWORD: {
        tools: '`make run`',
        does:
          'Password of the card processor. Takes several, newest first, separated by commas; any of them is right. ' +
          'A start warns of one with fewer than 16 characters.',
        seen: ['authorization_unauthorized_total'],
      },
      MARQETA_WEBHOOK_SECRET: {
        default: 'Basic authentication alone',
        does:
          "Secrets with which Marqeta signs its notifications, the webhook's `config.secret`, separated by commas, " +
          'newest first. With one, a notification needs the right signature beside its Basic authentication. See ' +
          '[Marqeta](protocols/marqeta.md).',
        seen: ['authorization_unauthorized_total', 'notifications_total'],
      },
      LITHIC_SECRET: {
        default: 'no paths of Lithic',
        does:
          'Secrets that Lithic signs with, as it shows them (`whsec_…`), separated by commas, newest first: of the ' +
          'auth stream and of the subscription to events. See [Lithic](protocols/lithic.md).',
        seen: ['authorization_unauthorized_total', 'notifications_total'],
      },
      STRIPE_SECRET: {
        default: 'no path of Stripe',
        does:
          'Secrets that Stripe signs with, as it shows them (`whsec_…`), separated by commas, newest first: of the ' +
          'endpoint of real-time authorizations and of that of other events. See [Stripe](protocols/stripe.md).',
        seen: ['authorization_unauthorized_total', 'notifications_total'],
      },
      ISO8583_LINKS: {
        default: 'no port of ISO 8583',
        does:
          'Path of the JSON file with the links of ISO 8583 over TCP. Each has a port of its own. It needs ' +
          '`PAN_KEY`. See [ISO 8583](protocols/iso8583.md).',
        seen: ['iso8583_messages_total', 'iso8583_unparsable_total'],
      },
      ENGINE_TOKEN: {
        kind: 'same',
        tools: '`make run`',
        does:
          'Bearer token of the `/admin` routes on the ops port of the engine. Takes several, newest first; the ' +
          'engine takes any of them, an API sends the newest. To rotate it, put the new one in front at the ' +
          'engines, then at the APIs, then take the old one out. Set `PAN_KEY` before that.',
        seen: ['engine_failed_requests_total'],
      },
      JWT_SECRET: {
        kind: 'same',
        tools: '`make run`',
        does:
          'Keys of access tokens, each of at least 32 bytes, newest first, separated by commas. The first one ' +
          'signs, all verify. To rotate them, put a new one in front, and take the old one out after ' +
          '`ACCESS_TOKEN_SECONDS`.',
      },
      PAN_KEY: {
        kind: 'same',
        tools: '`make run`',
        default: fromToken,
        does:
          'Key of the hashes that replace identifiers with card numbers. Set it before `ENGINE_TOKEN` changes: ' +
          'an id from before is decided as a new message otherwise. To rotate it, add a new one behind it in every ' +
          'process, then move the new one to the front, and take the old one out when no client sends ids from ' +
          'before: so each process finds what another one keeps under the new key. At most 16. With ' +
          '`JOURNAL=postgres` an engine whose keys another one does not have ends at its start.',
      },
      FEED_KEY: {
        kind: 'same',
        default: fromToken,
        does:
          'Key of the codes (HMAC) of everything that goes through Redis: changes, reports of the engines, cached ' +
          'values. A value without a valid code is not used. To rotate it, put a new one in front; until every ' +
          'process has it, changes come from the outbox.',
        seen: ['redis_refused', 'redis_refused_total'],
      },
      PEER_KEY: {
        kind: 'same',
        default: fromToken,
        does:
          'Key by which engines on one database know each other (TLS with a pre-shared key), with ' +
          '`JOURNAL=postgres`. To rotate it, add a new one behind it in every engine, then move the new one to the ' +
          'front, then take the old one out.',
      },
      REDIS_URL: {
        kind: 'same',
        default: 'none: changes travel by LISTEN/NOTIFY',
        does:
          'Redis for the hints of the feed and for cached values: `redis://`, `rediss://` (TLS; ' +
          '`NODE_EXTRA_CA_CERTS` names an authority of your own), ' +
          '`redis+sentinel://:password@h1:26379,h2:26379/mymaster`, or `redis+cluster://:password@h1,h2`; name ' +
          'several nodes. Several APIs share their counts of requests and failed sign-ins through it.',
        seen: ['card_cache_redis_total', 'redis_failures_total'],
      },
      MONGODB_URI: {
        default: 'none: the history of people is in PostgreSQL',
        does: 'MongoDB for the history of personal customers, and for copies of people and cards.',
        seen: ['personal_history_lag_records', 'personal_copies_lag'],
      },
    },
  },
  {
    title: 'Ports and addresses',
    variables: {
      HOST: { tools: '`make run`', does: 'Address where the authorization port and the account API listen.' },
      AUTH_PORT: { tools: '`make run`', does: 'The authorization port.' },
      OPS_HOST: {
        tools: '`make run`',
        does: 'Address of the ops ports of engine and API. Keep it on loopback or in the monitoring network.',
      },
      OPS_PORT: { tools: '`make run`', does: 'The ops port of the engine: health, metrics, admin.' },
      PEER_PORT: {
        does:
          'With `JOURNAL=postgres`: where this engine takes messages from the other engines, on `HOST`; 0 takes any ' +
          'free port. Only engines need to reach it.',
      },
      PEER_ADDRESS: {
        default: '`HOST` (this machine’s name where `HOST` is 0.0.0.0 or ::) and `PEER_PORT`',
        does: '`host:port` by which the other engines reach this one. They find it in the database.',
      },
      API_PORT: { tools: '`make run`', does: 'The account API.' },
      API_OPS_PORT: {
        tools: '`make run`',
        does: 'The ops port of an API. Each API of a machine needs its own; 0 takes any free one.',
      },
      ENGINE_URL: {
        tools: '`make run`',
        does:
          'The ops port of the engine, as an API reaches it. Of several any one answers for all: name a load ' +
          'balancer that leads to `/admin/` and `/readyz` of all (`npm run nginx-config` with `--admin`).',
      },
      PUBLIC_URL: {
        default: '`HOST` and `API_PORT`; required with `SMTP_URL`',
        does: 'Where people reach this API: the links in mails begin with it.',
      },
      CONSOLE_HOST: {
        default: 'beside the app, on `API_PORT`',
        does:
          'Address and port of the console alone, such as `10.0.0.5:3002` ([console](console.md)). The public port ' +
          'then has no console.',
      },
      ASSET_ORIGIN: {
        default: 'this API',
        does:
          'Origin from which browsers load the files of the pages, such as `https://cdn.example.com`: a CDN that ' +
          'reads `/assets/` from this API ([CDN](console.md#a-cdn-for-the-files)).',
      },
      CORS_ORIGINS: {
        default: 'none',
        does:
          'Origins whose pages may call the API from a browser, separated by commas, such as ' +
          '`https://app.example.com,http://localhost:5173`. A preflight is kept for two hours and counts as a request.',
      },
      TRUSTED_PROXIES: {
        default: 'none',
        does:
          'Addresses and networks of proxies, separated by commas, whose `X-Forwarded-For` is believed. Rate ' +
          'limits are per address, so set it behind a proxy.',
        low: 'behind a proxy that is not listed, all clients share one address and its limits.',
        high: 'a client in a listed network can name any address.',
      },
    },
  },
  {
    title: 'Durability',
    variables: {
      DATA_DIR: {
        tools: '`make run`, `make seed`, `make audit`',
        does:
          'Folder of the journal and of the ids of settled messages. Keep it on a durable disk: the journal holds ' +
          'the decisions that PostgreSQL does not have yet.',
      },
      JOURNAL: {
        does:
          'Where decisions are made durable before they are answered. `local`: on the disk of this machine. ' +
          '`postgres`: in PostgreSQL, so that an engine on any machine can go on; `DATA_DIR` is not used then, and a ' +
          'copy of what is not settled stands in the folder for temporary files (`TMPDIR`). The first start on a ' +
          'database fixes it.',
      },
      PARTITIONS: {
        kind: 'fixed',
        default: '`WORKERS` with `JOURNAL=local`, 12 with `JOURNAL=postgres`',
        does:
          'Shares of the accounts, each with one writer. The first start on a database fixes the number, and every ' +
          'later one must have the same. With `JOURNAL=postgres` they spread evenly over the engines that run.',
        low: 'with `JOURNAL=postgres`, an engine beyond the number of partitions owns none.',
        high: 'batches become smaller, and each message is read once more to find its partition.',
        seen: ['partitions_ready'],
      },
      WORKERS: {
        default: 'cores − 1, at least 1',
        does:
          'Threads that decide. With `JOURNAL=postgres` each hosts several partitions; with `JOURNAL=local` it is ' +
          'the default of `PARTITIONS`, and each partition has a thread of its own.',
        low: 'one thread decides everything, and cores stay idle.',
        high: 'threads share cores with the front.',
      },
      FRONTS: {
        does:
          'Threads that take connections of the authorization port, for machines with four cores and more (Linux). ' +
          'With 1 the main thread takes them itself. Above 1 it keeps the ledger, and all bounds stay those of the ' +
          'whole engine. Approvals are then judged 5 ms before `DEADLINE_MS`. What it gives was never measured: ' +
          '[ADR 0032](adr/0032-front-threads-over-one-ledger.md).',
        low: 'the main thread is full while cores stay idle.',
        high: 'on few cores each message only costs more: it passes from thread to thread twice more.',
        seen: ['thread_cpu_seconds_total'],
      },
      JOURNAL_SEGMENT_BYTES: {
        unit: 'bytes',
        does: 'Size of one file of the journal. Each is zeroed before it is used.',
        low: 'the journal changes files often.',
        high: 'room on the disk comes back late, and `/health` warns below four free segments.',
        seen: ['journal_segments', 'journal_spares'],
      },
      JOURNAL_SEGMENTS_MAX: {
        unit: 'files',
        does: 'Most segments of a partition: the bound of unsettled work while PostgreSQL is away.',
        low: 'a short outage of PostgreSQL ends in declines (*books lag*).',
        high: 'the journal can fill the disk; `/health` warns at seven eighths.',
        seen: ['journal_segments', 'shipper_lag_records'],
      },
    },
  },
  {
    title: 'Time and deadlines',
    variables: {
      DEADLINE_MS: {
        unit: 'ms',
        does:
          'Time from arrival to answer. What is not decided by then is answered 503, and a later approval is ' +
          'revoked. A lookup in Redis gets a quarter of it, at most 10 ms.',
        low: 'one slow sync is answered 503.',
        high: 'the processor gives up first, and a hold stays that no terminal knows of.',
        seen: ['authorization_late_total', 'authorization_refusals_total'],
      },
      STANDIN: {
        default: 'off',
        does:
          'The rule by which the engine approves what a partition cannot answer: a JSON object, or the path of a ' +
          'file that has one ([stand-in](standin.md)). A partition then has three quarters of `DEADLINE_MS`.',
        seen: ['standin_approved_total', 'standin_unbooked'],
      },
      FEED_STALE_MS_MAX: {
        unit: 'ms',
        does:
          'An engine that was last known to be up to date longer ago than this declines what it should decide. ' +
          'Reversals, clearings, refunds and advice go on. The writer lease lasts a little longer than this.',
        low: 'a short outage of PostgreSQL declines everything.',
        high: 'after a crash, changes answer `effective: false` for longer, and a successor may wait longer.',
        seen: ['feed_age_ms'],
      },
      LEASE_MS: {
        unit: 'ms',
        does:
          'Least time of the writer lease: another engine waits for one that ended without releasing it. With ' +
          '`JOURNAL=postgres` the partitions of an engine that is lost have no owner for so long. With a local ' +
          'journal the lease is always longer than `FEED_STALE_MS_MAX`, by a quarter of it, at most 2,000 ms.',
        low: 'a pause of an engine or of PostgreSQL moves partitions.',
        high: 'accounts of a lost engine are refused for longer.',
      },
      HOLD_DAYS: {
        unit: 'days',
        does: 'How long a hold lives without a clearing.',
        low: 'a late clearing becomes a force post.',
        high: 'money of purchases that never clear is held longer.',
      },
      HOLD_DAYS_LONG: { unit: 'days', does: 'The same for lodging and car rental.' },
      ACCESS_TOKEN_SECONDS: {
        unit: 's',
        does: 'How long an access token is good.',
        low: 'clients refresh more often.',
        high: 'a stolen token works longer at an API that did not hear of its end.',
      },
      REFRESH_TOKEN_DAYS: {
        unit: 'days',
        does: 'How long a refresh token is good. A session ends after 90 days anyway.',
      },
    },
  },
  {
    title: 'Rules of the program',
    variables: {
      STRICT_FIELDS: {
        tools: '`make run` sets true',
        does:
          'A message of the native form with an unknown field is a 400 that names the nearest known one. Otherwise ' +
          'unknown fields are counted.',
        seen: ['authorization_unknown_fields_total'],
      },
      REFUND_RESTORES_WINDOWS: { does: 'A refund gives its amount back to the spend windows.' },
      MARQETA_PARTIAL_APPROVAL: {
        does:
          'The program has partial approval enabled at Marqeta. Set it only then: a smaller amount turns an ' +
          'approval into a decline otherwise.',
      },
      CARD_PROTOCOLS: {
        does:
          'By which protocols questions about the cards come: native, marqeta, lithic, stripe, iso8583, separated by ' +
          'commas. A limit that asks for what one of them does not carry is refused when it is set ' +
          '([vocabulary](protocols/vocabulary.md#limits)).',
      },
      SELF_FUNDING: {
        tools: '`make run` sets true for its demo',
        does: 'Customers move their own money in and out. Refused unless the database has demo data.',
      },
      FUNDING_APPROVAL_MINOR: {
        unit: 'minor units',
        does:
          'An operator’s deposit or withdrawal above it waits for the approval of another operator ' +
          '([account API](account-api.md#money)). The default is 10,000.00 of most currencies, where banks begin to ' +
          'report cash. API keys move any amount alone.',
        low: 'Two operators for everyday amounts.',
        high: 'One stolen session of an operator moves as much.',
        kind: 'same',
      },
      CARDS_PER_COMPANY_MAX: { unit: 'cards', does: 'Cards of a company that are not closed.' },
      CARDS_PER_PERSON_MAX: { unit: 'cards', does: 'Cards of a personal customer that are not closed.' },
      USERS_PER_COMPANY_MAX: { unit: 'users', does: 'Users of a company, with those that are invited.' },
    },
  },
  {
    title: 'Memory of the engine',
    variables: {
      ACCOUNTS_MAX: {
        unit: perPartition,
        does:
          'Accounts in memory of each partition; users: twice as many, spend rows: four times. Memory is taken as ' +
          'it is used. Rows that are settled and idle leave a full store and are looked up again.',
        low: 'many messages wait for PostgreSQL.',
        high: 'about 75 bytes an account and 88 a spend row.',
        seen: ['memory_rows', 'memory_evictions_total', 'memory_full_total'],
      },
      CARDS_MAX: {
        unit: perPartition,
        does: 'Cards in memory of each partition.',
        low: 'many messages wait for Redis or PostgreSQL.',
        seen: ['card_cache_hits', 'card_cache_misses'],
      },
      HOLDS_MAX: {
        unit: perPartition,
        does: 'Transactions in memory of each partition.',
        low: 'messages wait for lookups, or for the shipper, and are refused as `overloaded` at their deadline.',
        seen: ['transactions_in_memory', 'memory_full_total'],
      },
      SEEN_IDS_MAX: {
        unit: 'ids',
        does: 'A power of two: how many of the newest messages of each partition have ids that count as repeats.',
        low: 'an id that the processor repeats later is decided as a new message.',
        high: 'more memory for each id.',
        seen: ['seen_ids_in_memory', 'authorization_repeated_total'],
      },
      MAX_IN_FLIGHT: {
        unit: 'requests',
        does: 'Requests that are accepted and not answered. One more is answered 503 `overloaded` at once.',
        low: 'a burst is refused although it could be decided in time.',
        high: 'requests wait until their deadline instead of being refused at once.',
        seen: ['authorization_in_flight'],
      },
    },
  },
  {
    title: 'Connections',
    variables: {
      AUTH_CONNECTIONS_MAX: {
        default: 'what the limit of open files leaves, at most 65536',
        does: 'Connections of the authorization port. More are closed at once. A start says which limit to raise.',
        seen: ['connections_open', 'connections_refused_total'],
      },
      AUTH_CONNECTIONS_PER_ADDRESS_MAX: {
        default: 'three quarters of the former',
        does:
          'Of one IPv4 address or IPv6 /64 network. Only connections younger than 13 s count for their address: one ' +
          'without a request is closed before that, and one with wrong credentials at once.',
        seen: ['connections_refused_total'],
      },
      OPS_CONNECTIONS_MAX: {
        default: 'a sixteenth of the limit of open files, 32 to 1024',
        does: "Connections of the engine's ops port. An API takes up to 64.",
        seen: ['connections_refused_total'],
      },
      OPS_CONNECTIONS_PER_ADDRESS_MAX: {
        default: 'three quarters of the former',
        does: 'Of one address.',
        seen: ['connections_refused_total'],
      },
      API_CONNECTIONS_MAX: {
        default: 'what the limit of open files leaves, at most 65536',
        does: 'Connections of the account API. More are closed at once. One without a request is closed after 10 s.',
        seen: ['connections_refused_total'],
      },
      API_CONNECTIONS_PER_ADDRESS_MAX: {
        default: 'three quarters of the former; no bound with `TRUSTED_PROXIES`',
        does: 'Of one address.',
        seen: ['connections_refused_total'],
      },
      API_OPS_CONNECTIONS_MAX: {
        does: 'Connections of the ops port of an API. One more closes the oldest one, so a scrape is always served.',
        seen: ['connections_refused_total'],
      },
    },
  },
  {
    title: 'Pools of the account API',
    variables: {
      POSTGRES_POOL_MAX: {
        unit: 'connections',
        does: 'Connections to PostgreSQL.',
        low: 'requests wait for a connection, 2 s at most.',
        high: 'the server runs out of connections when there are many APIs.',
        seen: ['postgres_connections_busy', 'postgres_queries_waiting'],
      },
      POSTGRES_IDLE_SECONDS: { unit: 's', does: 'An idle connection is closed after this time.' },
      POSTGRES_CONNECT_SECONDS: { unit: 's', does: 'Longest time to connect.' },
      POSTGRES_ACQUIRE_MS: {
        unit: 'ms',
        does: 'Bounds every wait for a connection. A request waits 2 s at most, whatever this says.',
      },
      POSTGRES_STATEMENT_MS: {
        unit: 'ms',
        does: 'Longest time of one statement, set at the server. The API gives up 1 s later.',
        seen: ['postgres_failed_queries_total'],
      },
      MONGODB_POOL_MAX: { unit: 'connections', does: 'Connections to MongoDB.' },
      MONGODB_POOL_MIN: { unit: 'connections', does: 'Connections that are kept; at most `MONGODB_POOL_MAX`.' },
      MONGODB_IDLE_MS: { unit: 'ms', does: 'An idle connection is closed after this time.' },
      MONGODB_SERVER_SELECTION_MS: {
        unit: 'ms',
        does: 'Longest time to find a server and to connect; never more than 3,000.',
      },
      MONGODB_SOCKET_MS: { unit: 'ms', does: 'A connection without traffic for this long counts as broken.' },
    },
  },
  {
    title: 'Caches',
    variables: {
      CACHE_USER_SECONDS: { unit: 's', does: 'How long accounts stay in Redis.' },
      CACHE_CARD_SECONDS: {
        unit: 's',
        does: "How long cards stay in Redis: an API's values, and the profiles of the engine.",
        low: 'cards that left memory come back from PostgreSQL.',
        seen: ['card_cache_redis_total', 'cache_reads_total'],
      },
      CACHE_TRANSACTIONS_SECONDS: { unit: 's', does: 'How long lists of transactions stay in Redis.' },
      CACHE_LOCAL_SECONDS: {
        unit: 's',
        does: 'How long a value stays in the process; never longer than its kind in Redis.',
        seen: ['cache_local_entries', 'cache_reads_total'],
      },
    },
  },
  {
    title: 'Limits of the account API',
    variables: {
      RATE_LIMIT_PERSON_PER_MINUTE: {
        ...requestBound,
        does: 'Of a customer or an operator, whatever address they come from. More get 429 with `Retry-After`.',
      },
      RATE_LIMIT_KEY_PER_MINUTE: { ...requestBound, does: 'Of an API key.' },
      RATE_LIMIT_ANONYMOUS_PER_MINUTE: {
        ...requestBound,
        does: 'Of one IPv4 address or IPv6 /64 network without a good token.',
      },
      RATE_LIMIT_ADDRESS_PER_MINUTE: {
        ...requestBound,
        does:
          'Of one address, all together. Sign-ins of users, sign-ins of operators, refreshes and sign-outs have ' +
          '18,000 each of their own.',
      },
      REGISTRATIONS_PER_15_MINUTES: {
        unit: 'customers',
        does: 'Customers that one network may register.',
        low: 'an office behind one address cannot register its people.',
        seen: ['sign_in_refused_total'],
      },
      TENANT_REQUESTS_MAX: { ...requestBound, does: 'Of one company, person or key that are under way at once.' },
      TENANT_REPORTS_MAX: { ...requestBound, does: 'Among them lists of transactions, exports and spending.' },
      BODY_BYTES_MAX: { unit: 'bytes', does: 'Longest body of a request; a longer one is a 413.' },
      EVENT_LOOP_DELAY_MS: {
        unit: 'ms',
        does: 'When everything waits longer than this for its turn, new requests are answered 503 `overloaded`.',
        low: 'short pauses refuse requests.',
        high: 'all requests get slow before any is refused.',
      },
    },
  },
  {
    title: 'Mail',
    variables: {
      SMTP_URL: {
        default: 'none: invitations and resets answer 503; a demo writes its mails to the log',
        does:
          'Server for mails, `smtp://user:password@host:587` or `smtps://`. TLS is required unless the host is this ' +
          'machine.',
        seen: ['mails_sent_total', 'mails_failed_total', 'mails_waiting'],
      },
      MAIL_FROM: { default: 'none; required with `SMTP_URL`', does: 'Sender of mails.' },
    },
  },
  {
    title: 'Logs',
    variables: {
      LOG_LEVEL: { does: 'Least level of lines in the log. With `debug`, a failed start prints its stack.' },
      TRACE_URL: {
        does:
          'Where traces go by OTLP over HTTP, such as `http://127.0.0.1:4318/v1/traces`; without it there are none. ' +
          'Headers and certificates of the receiver are set as OpenTelemetry says, by `OTEL_EXPORTER_OTLP_HEADERS` ' +
          'and its like.',
      },
      TRACE_EVERY: {
        does: 'One request of so many is traced, and each that is slow or fails, 200 a second at most.',
      },
      SLOW_AUTHORIZATION_MS: {
        unit: 'ms',
        does: 'A decided answer slower than this is logged, with the hop that was slow.',
      },
      SLOW_QUERY_MS: {
        unit: 'ms',
        does: 'A query slower than this is logged, its parameters masked.',
        seen: ['postgres_slow_queries_total'],
      },
      SLOW_RESPONSE_MS: {
        unit: 'ms',
        does: 'A response of the API slower than this is an alert in the log.',
        seen: ['api_slow_responses_total'],
      },
      REQUEST_LOG_LEVEL: {
        does: "Level of a request's line. Slow requests and answers from 500 on have `warn` or `error`.",
      },
      REQUEST_LOG_SAMPLE: {
        unit: 'share',
        does:
          'Share of the successful requests that are logged. Failed and slow ones are all logged; of 429 and 503 ' +
          'up to 50 a second.',
      },
    },
  },
  {
    title: 'Tools',
    variables: {
      DEMO: {
        default: 'true with the embedded PostgreSQL, false with `DATABASE_URL`',
        tools: '`make run`',
        does: '`true` or `false`: puts demo data and their sign-ins into the database.',
      },
      ENGINES: {
        default: '`3`',
        tools: '`make cluster`, `make monitor`',
        does:
          'How many engines start, 1 to 10. Their ports are in ' +
          '[deployment](deployment.md#several-engines-on-one-machine).',
      },
      PROMETHEUS_PORT: {
        default: '`9090`',
        tools: '`make monitor`',
        does: 'Where Prometheus listens, on `OPS_HOST`.',
      },
      ALERTMANAGER_PORT: {
        default: '`9093`',
        tools: '`make monitor`',
        does: 'Where Alertmanager listens, on `OPS_HOST`.',
      },
      ALERTMANAGER_CONFIG: {
        default: '`deploy/prometheus/alertmanager.yml`',
        tools: '`make monitor`',
        does: 'File with the receivers of alerts; `deploy/prometheus/alertmanager.example.yml` has some to copy.',
      },
      DATABASE_ENGINE_URL: {
        default: '`DATABASE_URL`',
        tools: '`make run`',
        does: 'The `DATABASE_URL` that the engine is started with.',
      },
      DATABASE_API_URL: {
        default: '`DATABASE_URL`',
        tools: '`make run`',
        does: 'The `DATABASE_URL` that the API is started with.',
      },
      DATABASE_ENGINE_ROLE: {
        default: '`afc_engine`',
        tools: '`npm run migrate`',
        does: 'Role that a migration gives the rights of an engine.',
      },
      DATABASE_API_ROLE: {
        default: '`afc_api`',
        tools: '`npm run migrate`',
        does: 'Role that a migration gives the rights of an API.',
      },
      ACCOUNTS: { default: '`1000`', tools: '`make seed`', does: 'Accounts to add, up to 100,000,000.' },
      CARDS: { default: '`1`', tools: '`make seed`', does: 'Cards of each account, up to 1,000.' },
      BALANCE: { default: '`1000000`', tools: '`make seed`', does: 'Balance of each account in minor units.' },
    },
  },
];

/** Whole environments, which a test gives to the processes' readers. `…` is a secret or a name of your own. */
export const completeSets: readonly {
  readonly title: string;
  readonly process: 'engine' | 'api';
  readonly lines: string;
}[] = [
  {
    title: 'An engine, all defaults',
    process: 'engine',
    lines: `
DATABASE_URL=postgres://afc_engine:…@db.internal/atlanticfrewaycard?sslmode=verify-full
PROCESSOR_USER=…
PROCESSOR_PASSWORD=…
ENGINE_TOKEN=…
PAN_KEY=…
DATA_DIR=/var/lib/atlanticfrewaycard`,
  },
  {
    title: 'An API, all defaults',
    process: 'api',
    lines: `
DATABASE_URL=postgres://afc_api:…@db.internal/atlanticfrewaycard?sslmode=verify-full
ENGINE_TOKEN=…
JWT_SECRET=…
PAN_KEY=…`,
  },
  {
    title: 'An engine for APIs on other machines, with Redis',
    process: 'engine',
    lines: `
DATABASE_URL=postgres://afc_engine:…@db.internal/atlanticfrewaycard?sslmode=verify-full
PROCESSOR_USER=…
PROCESSOR_PASSWORD=…
ENGINE_TOKEN=…
PAN_KEY=…
FEED_KEY=…
REDIS_URL=rediss://:…@redis.internal
OPS_HOST=10.0.0.5
DATA_DIR=/var/lib/atlanticfrewaycard`,
  },
  {
    title: 'One of several engines behind a load balancer',
    process: 'engine',
    lines: `
DATABASE_URL=postgres://afc_engine:…@db-1.internal,db-2.internal/atlanticfrewaycard?sslmode=verify-full
PROCESSOR_USER=…
PROCESSOR_PASSWORD=…
ENGINE_TOKEN=…
PAN_KEY=…
FEED_KEY=…
PEER_KEY=…
REDIS_URL=rediss://:…@redis.internal
JOURNAL=postgres
PARTITIONS=12
HOST=10.0.0.5
OPS_HOST=10.0.0.5
PEER_ADDRESS=10.0.0.5:8082`,
  },
  {
    title: 'One of several APIs behind a proxy, with Redis, MongoDB and mail',
    process: 'api',
    lines: `
DATABASE_URL=postgres://afc_api:…@db.internal/atlanticfrewaycard?sslmode=verify-full
ENGINE_TOKEN=…
JWT_SECRET=…
PAN_KEY=…
FEED_KEY=…
REDIS_URL=rediss://:…@redis.internal
MONGODB_URI=mongodb://api:…@mongo.internal/history?tls=true
HOST=0.0.0.0
TRUSTED_PROXIES=10.0.0.0/24
ENGINE_URL=http://10.0.0.5:8081
SMTP_URL=smtps://api:…@mail.internal
MAIL_FROM=cards@example.com
PUBLIC_URL=https://cards.example.com`,
  },
];

import type postgres from 'postgres';

/** Fragment and query builder, with the types of values that postgres.ts sets. */
export type Sql = postgres.Sql<{ bigint: number; timestamp: string; date: string }>;

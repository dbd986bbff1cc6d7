/**
 * Images of people and companies: the files made of an upload, by the hash of all of them. An
 * address is enough to read a file; only the owner sets which image is theirs.
 */
import { createHash } from 'node:crypto';
import type { Acting, Principal } from '../auth/principal.js';
import type { Database } from './postgres.js';
import type { Sql } from './sql.js';

export const imageWidths = [96, 192, 384] as const;
export const imageTypes = ['avif', 'webp', 'jpeg'] as const;
export type ImageType = (typeof imageTypes)[number];

export interface ImageFile {
  readonly width: number;
  readonly type: ImageType;
  readonly bytes: Uint8Array;
}

/** Images that one step of the housekeeping looks at. */
const sweptMax = 100;

export class ImageStore {
  readonly #database: Database;

  constructor(database: Database) {
    this.#database = database;
  }

  /** @param files empty: the user has no picture from now on. @returns the image's hash */
  async setPicture(principal: Acting<Principal>, files: readonly ImageFile[]): Promise<string | null> {
    const hash = hashOf(files);
    await this.#database.write(
      principal,
      'images.setPicture',
      (sql, { enter, admitted }) => sql`
        with ${enter}, ${kept(sql, hash, files, admitted)}
        update users set picture = (select hash from kept) where id = ${principal.userId} and ${admitted}`,
    );
    return hash;
  }

  /** The same for the logo of the user's company. */
  async setLogo(principal: Acting<Principal>, files: readonly ImageFile[]): Promise<string | null> {
    const hash = hashOf(files);
    await this.#database.write(
      principal,
      'images.setLogo',
      (sql, { enter, admitted }) => sql`
        with ${enter}, ${kept(sql, hash, files, admitted)}
        update companies set logo = (select hash from kept) where id = ${principal.companyId} and ${admitted}`,
    );
    return hash;
  }

  async file(hash: string, width: number, type: string): Promise<Buffer | null> {
    const [row] = await this.#database.run(
      'images.file',
      (sql) => sql<{ bytes: Buffer }[]>`
        select bytes from image_files where hash = ${hash} and width = ${width} and type = ${type}`,
    );
    return row?.bytes ?? null;
  }

  /**
   * Deletes images that were replaced some minutes ago and that no row uses. The wait lets pages that were read before
   * still show them. @returns how many were looked at
   */
  async sweep(): Promise<number> {
    const [row] = await this.#database.run(
      'images.sweep',
      (sql) => sql<{ looks: number }[]>`
        with looked as materialized (
          select i.hash, exists (select from users where picture = i.hash)
            or exists (select from companies where logo = i.hash) as used
          from images i where i.unused_since < now() - interval '10 minutes'
          order by i.unused_since limit ${sweptMax} for update of i skip locked
        ), still as (
          update images set unused_since = null where hash in (select hash from looked where used)
        ), gone as (
          delete from images where hash in (select hash from looked where not used)
        )
        select count(*)::integer as looks from looked`,
    );
    return row!.looks;
  }
}

/** Of the files in their order. Null: there are none. */
function hashOf(files: readonly ImageFile[]): string | null {
  if (files.length === 0) return null;
  const hash = createHash('sha256');
  for (const { width, type, bytes } of files) hash.update(`${width} ${type} ${bytes.length}\n`).update(bytes);
  return hash.digest('hex');
}

/**
 * Parts of a statement that keep an image. The files wait for the image's row: an upload of an image that the
 * housekeeping is deleting must not take the old files for its own.
 */
function kept(sql: Sql, hash: string | null, files: readonly ImageFile[], admitted: ReturnType<Sql>) {
  if (hash === null) return sql`kept as (select null::text as hash)`;
  const rows = files.map(({ width, type, bytes }): [number, string, Uint8Array] => [width, type, bytes]);
  return sql`kept as (
      insert into images (hash) select ${hash} where ${admitted}
      on conflict (hash) do update set unused_since = null returning hash
    ), files as (
      insert into image_files (hash, width, type, bytes)
      select kept.hash, given.width::smallint, given.type, given.bytes::bytea
      from kept, (values ${sql(rows as never)}) given (width, type, bytes)
      on conflict do nothing
    )`;
}

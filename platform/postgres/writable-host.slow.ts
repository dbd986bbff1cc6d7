/** Several hosts over TLS: the driver encrypts a socket that it did not make. */
import { chmodSync, chownSync, copyFileSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import t from 'tap';
import { startEmbeddedPostgres } from '../../deploy/embedded-postgres.js';
import { findFreePort } from '../../deploy/free-port.js';
import { systemUser } from '../../deploy/postgres/postgres-place.js';
import { createTestCertificates } from '../../deploy/testing/certificates.js';
import { findDebianPostgres } from '../../deploy/testing/debian-postgres.js';
import { connectPostgres } from './connect.js';

t.test('the server is asked, and served, over TLS as the URL says', async (t) => {
  const folder = mkdtempSync(join(tmpdir(), 'hosts-tls-'));
  // The server's user must reach it.
  chmodSync(folder, 0o755);
  const certificates = await createTestCertificates();
  const [certificate, key] = [join(folder, 'server.pem'), join(folder, 'server.key')];
  copyFileSync(certificates.certificate, certificate);
  copyFileSync(certificates.key, key);
  await certificates.remove();
  if (process.getuid?.() === 0) {
    const { uid, gid } = await systemUser();
    for (const file of [certificate, key]) chownSync(file, uid, gid);
  }
  const server = await startEmbeddedPostgres({
    dataDir: join(folder, 'server'),
    binaries: await findDebianPostgres(),
    settings: { ssl: 'on', ssl_cert_file: certificate, ssl_key_file: key, fsync: 'off' },
    priority: 'normal',
    log: () => undefined,
  });
  t.teardown(async () => {
    await server.stop();
    rmSync(folder, { recursive: true, force: true });
  });
  const host = `127.0.0.1:${await findFreePort()},localhost:${new URL(server.url).port}`;
  const url = `${server.url.replace(new URL(server.url).host, host)}?target_session_attrs=read-write`;
  const open = (mode: string) => {
    const sql = connectPostgres(`${url}&sslmode=${mode}`, { max: 1, onnotice: () => undefined, fetch_types: false });
    t.teardown(() => sql.end({ timeout: 1 }));
    return sql;
  };

  const required = open('require');
  t.same([...(await required`select ssl from pg_stat_ssl where pid = pg_backend_pid()`)], [{ ssl: true }], 'encrypted');
  await t.rejects(open('verify-full')`select 1`, /no server of DATABASE_URL takes writes .*localhost.*certificate/);
});

/** REDIS_URL in all its forms. */
import t from 'tap';
import { parseRedisUrl } from './url.js';

t.test('a URL may name one server, with and without TLS, user and database', async (t) => {
  t.same(parseRedisUrl('redis://127.0.0.1'), {
    kind: 'single',
    isTls: false,
    hosts: [{ host: '127.0.0.1', port: 6379 }],
    db: 0,
  });
  t.match(parseRedisUrl('rediss://u:p%40ss@cache.example:7000/2'), {
    isTls: true,
    hosts: [{ host: 'cache.example', port: 7000 }],
    username: 'u',
    password: 'p@ss',
    db: 2,
  });
  t.match(parseRedisUrl('redis://:p@ss@[::1]:7000'), { hosts: [{ host: '::1', port: 7000 }], password: 'p@ss' });
});

t.test('a URL may name a Sentinel or a Cluster', async (t) => {
  t.match(parseRedisUrl('redis+sentinel://:p@a:1,b/mymaster/3?sentinelPassword=s%20s'), {
    kind: 'sentinel',
    hosts: [
      { host: 'a', port: 1 },
      { host: 'b', port: 26379 },
    ],
    master: 'mymaster',
    db: 3,
    password: 'p',
    sentinelPassword: 's s',
  });
  t.match(parseRedisUrl('rediss+cluster://a,b:7001'), {
    kind: 'cluster',
    isTls: true,
    hosts: [{ port: 6379 }, { port: 7001 }],
  });
});

t.test('the error for an unreadable URL leaves the password out', async (t) => {
  const wrong: [string, RegExp][] = [
    ['http://secret', /must begin with/],
    ['redis://a,b', /several hosts/],
    ['redis+sentinel://:secret@a', /name the master/],
    ['redis+cluster://:secret@a/1', /database 0 only/],
    ['redis://:secret@a/x', /number of a database/],
    ['redis://:secret@a:99999', /host:port/],
    ['redis://:secret@', /host:port/],
    ['redis://secret@a', /user without a password/],
    ['redis://:secret%zz@a', /%25/],
  ];
  for (const [url, message] of wrong) {
    let text = '';
    try {
      parseRedisUrl(url);
    } catch (error) {
      text = String(error);
    }
    t.match(text, message, url);
    t.notMatch(text, /secret/);
  }
});

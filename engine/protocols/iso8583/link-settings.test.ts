import t from 'tap';
import { readLinkSettings } from './link-settings.js';

const link = {
  name: 'east',
  port: 8583,
  packager: { version: 1987, encoding: 'ascii' },
  framing: { length: 'binary2' },
};

t.test('a link needs a name, a port, a packager and a framing, and has usual values for the rest', async (t) => {
  t.same(readLinkSettings(JSON.stringify([link])), [
    {
      ...link,
      host: '127.0.0.1',
      idleEchoS: 0,
      echoFields: [],
      verificationAnswer: '85',
      duplicateAnswer: 'stored',
      responseCodes: 1987,
      signOnRequired: false,
      connectionsMax: 8,
      inFlightMax: 1000,
    },
  ]);
});

t.test('a link with everything keeps what it says', async (t) => {
  const whole = {
    name: 'west',
    host: '0.0.0.0',
    port: 8584,
    packager: {
      version: 1993,
      encoding: 'bcd',
      text: 'ebcdic',
      bitmap: 'ebcdic_hex',
      prefix: 'binary',
      bytes: 'hex',
      bcdPadding: 'right_f',
      overrides: {
        48: { format: 'b...999', encoding: 'binary', prefix: 'bcd', prefixCounts: 'wire', bcdPadding: 'left_zero' },
        39: { format: 'an2' },
        127: null,
      },
    },
    framing: {
      length: 'ascii4',
      lengthIncludesItself: true,
      lengthIncludesHeader: false,
      header: { kind: 'plain', bytes: 12 },
      keepAlive: 'echo',
      messageBytesMax: 2048,
    },
    tls: { certFile: 'a.pem', keyFile: 'b.pem', caFile: 'c.pem', requireClientCertificate: false },
    idleEchoS: 60,
    echoFields: [2, 12, 13, 32, 42],
    verificationAnswer: '00',
    traceField: 63,
    duplicateAnswer: 'refused',
    partialApproval: { field: 60, subElement: 61, skip: 1, position: 10, value: '1' },
    responseCodes: 1987,
    signOnRequired: true,
    connectionsMax: 2,
    inFlightMax: 5,
  };
  t.same(readLinkSettings(JSON.stringify([whole])), [whole]);
});

t.test('client certificates are required where there is an authority for them', async (t) => {
  const tls = { certFile: 'a.pem', keyFile: 'b.pem', caFile: 'c.pem' };
  t.equal(readLinkSettings(JSON.stringify([{ ...link, tls }]))[0]!.tls?.requireClientCertificate, true);
  const { caFile: _, ...server } = tls;
  t.equal(readLinkSettings(JSON.stringify([{ ...link, tls: server }]))[0]!.tls?.requireClientCertificate, false);
});

t.test('what is wrong in the file is said in one line that names the place', async (t) => {
  const { port: _, ...portless } = link;
  const tls = { certFile: 'a.pem', keyFile: 'b.pem', requireClientCertificate: true };
  const packagerOf = (overrides: object) => ({ ...link.packager, overrides });
  const cases: readonly (readonly [value: unknown, line: string])[] = [
    [[], 'the file must NOT have fewer than 1 items'],
    [[portless], '[0] has no port'],
    [[{ ...link, prot: 1 }], '[0] has an unknown member, prot'],
    [[{ ...link, port: 0 }], '[0].port must be >= 1'],
    [
      [{ ...link, framing: { length: 'binary5' } }],
      `[0].framing.length must be one of ${'binary2, bcd2, ascii4, hex4, '}binary4, binary2_zeros, binary3`,
    ],
    [
      [{ ...link, framing: { length: 'binary2', header: { kind: 'plain' } } }],
      '[0].framing is not possible: a plain header needs its number of bytes',
    ],
    [[link, { ...link, port: 1 }], '[1] has the name of an earlier link'],
    [[link, { ...link, name: 'west' }], '[1] has the host and port of an earlier link'],
    [[{ ...link, tls }], '[0].tls needs caFile, to check client certificates with'],
    [[{ ...link, echoFields: [65] }], '[0] names field 65, which its packager does not have'],
    [[{ ...link, packager: packagerOf({ 129: null }) }], '[0].packager is not possible: there is no field 129'],
    [
      [{ ...link, packager: packagerOf({ 48: { encoding: 'hex' } }) }],
      '[0].packager is not possible: field 48: a value of the kind ans is never in hex',
    ],
    [
      [{ ...link, packager: packagerOf({ 48: { format: 'x9' } }) }],
      '[0].packager.overrides[48].format must match pattern "^(n|a|an|anp|ans|b|z|xn)([.]{2,3})?([1-9][0-9]{0,2})$"',
    ],
    [
      [{ ...link, packager: packagerOf({ 48: { format: 'n..100' } }) }],
      '[0].packager is not possible: "n..100" needs a length of three digits',
    ],
    [
      [{ ...link, packager: packagerOf({ 11: null }) }],
      '[0].packager needs field 11, by which answers find their questions',
    ],
    [
      [{ ...link, packager: packagerOf({ 38: { format: 'an4' } }) }],
      '[0].packager needs 6 characters for field 38, as approvals have',
    ],
    [
      [{ ...link, packager: packagerOf({ 54: { format: 'an..20' } }) }],
      '[0].packager needs 60 characters for field 54, as approvals have',
    ],
  ];
  for (const [value, line] of cases) {
    t.throws(() => readLinkSettings(JSON.stringify(value)), { message: `ISO8583_LINKS: ${line}`, name: 'ConfigError' });
  }
  t.throws(() => readLinkSettings('{'), { message: 'ISO8583_LINKS: the file is not JSON' });
  t.throws(() => readLinkSettings(' '.repeat(1_000_001)), { message: /more than 1000000 characters/ });
});

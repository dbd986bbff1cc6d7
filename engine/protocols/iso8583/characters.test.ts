import t from 'tap';
import { ebcdic } from './characters.js';
import { IsoMessage } from './message.js';
import { Packager } from './packager.js';
import { unpack } from './unpack.js';

t.test('code page 037 maps each byte to a character of its own, and digits and letters as IBM says', async (t) => {
  const hexOf = (text: string) =>
    Buffer.from([...text].map((each) => ebcdic.encode[each.charCodeAt(0)]!)).toString('hex');
  t.equal(new Set(ebcdic.decode).size, 256);
  for (let byte = 0; byte < 256; byte++) t.equal(ebcdic.encode[ebcdic.decode[byte]!], byte);
  t.equal(hexOf('0123456789'), 'f0f1f2f3f4f5f6f7f8f9');
  t.equal(hexOf('AIJRSZ'), 'c1c9d1d9e2e9');
  t.equal(hexOf('airsz'), '818999a2a9');
  t.equal(hexOf(' .$*/,%#@\'="!&-'), '404b5b5c616b6c7b7c7d7e7f5a5060');
});

t.test('each kind of field takes its own characters', async (t) => {
  const digits = '0123456789';
  const letters = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz';
  const specials = '!"#$%&\'()*+,-./:;<=>?@[\\]^_`{|}~';
  const beyond = String.fromCharCode(...Array.from({ length: 128 }, (_, index) => index + 128));
  const kinds: Readonly<Record<string, string>> = {
    n: digits,
    a: letters,
    an: digits + letters,
    anp: `${digits}${letters} `,
    ans: `${digits}${letters} ${specials}${beyond}`,
    z: `${digits}:;<=>?D`,
  };
  const message = new IsoMessage();
  for (const [kind, permitted] of Object.entries(kinds)) {
    for (const encoding of ['ascii', 'ebcdic'] as const) {
      const override = { format: `${kind}1`, encoding };
      const packager = new Packager({ version: 1987, encoding: 'ascii', overrides: { 60: override } });
      const bytes = Buffer.from('01000000000000000010x', 'latin1');
      let taken = '';
      for (let byte = 0; byte < 256; byte++) {
        bytes[20] = byte;
        const refusal = unpack(packager, bytes, 0, bytes.length, message);
        if (refusal === null) taken += message.text(60);
        else t.match(refusal, { fault: 'content', field: 60, offset: 20 });
      }
      t.equal([...taken].sort().join(''), [...permitted].sort().join(''), `${kind} in ${encoding}`);
    }
  }
});

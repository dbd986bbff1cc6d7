/** Messages about the network itself: sign-on, sign-off, and the echo that tells whether a peer is there. */
import type { IsoMessage } from '../../protocols/iso8583/message.js';
import type { Version } from '../../protocols/iso8583/message-parts.js';
import { ResponseCode } from '../../protocols/iso8583/results.js';

/** DE 70 of 1987, DE 24 of 1993; those of 1993 are common use. */
const codes = {
  1987: { field: 70, signOn: '001', signOff: '002', echo: '301', mti: 800 },
  1993: { field: 24, signOn: '801', signOff: '802', echo: '831', mti: 1804 },
} as const;

export interface NetworkReply {
  /** Of DE 39 in 1987. */
  readonly code: string;
  /** The peer has signed on or off. */
  readonly isSignedOn?: boolean;
}

/** Without a code it is an echo. */
export function networkReply(asked: IsoMessage, version: Version): NetworkReply {
  const { field, signOn, signOff, echo } = codes[version];
  switch (asked.text(field)) {
    case signOn:
      return { code: ResponseCode.approved, isSignedOn: true };
    case signOff:
      return { code: ResponseCode.approved, isSignedOn: false };
    case echo:
    case '':
      return { code: ResponseCode.approved };
    default:
      // An exchange of keys, for one: to acknowledge it would be a promise to use the key.
      return { code: ResponseCode.notSupported };
  }
}

let traceNumber = 0;

/** Our own question whether the peer is there. */
export function echoRequest(message: IsoMessage, version: Version, nowMs: number): void {
  const { field, echo, mti } = codes[version];
  // 2026-11-28T18:00:00.000Z
  const digits = new Date(nowMs).toISOString().replace(/[^0-9]/g, '');
  traceNumber = (traceNumber % 999_999) + 1;
  message.clear();
  message.mti = mti;
  message.setText(7, digits.slice(4, 14));
  message.setInteger(11, traceNumber, 6);
  if (version === 1993) message.setText(12, digits.slice(2, 14));
  message.setText(field, echo);
}

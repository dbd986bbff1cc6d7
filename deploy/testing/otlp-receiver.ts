/** Takes traces as a collector does: OTLP by HTTP, decoded by hand, with the fields of opentelemetry-proto. */
import { once } from 'node:events';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';

export interface ReceivedSpan {
  readonly service: string;
  /** Of the process. */
  readonly instance: string;
  readonly traceId: string;
  readonly spanId: string;
  /** '': none. */
  readonly parentId: string;
  readonly name: string;
  /** 1 internal, 2 server, 3 client. */
  readonly kind: number;
  readonly startNs: bigint;
  readonly endNs: bigint;
  readonly attributes: Readonly<Record<string, string | number | boolean>>;
  readonly isError: boolean;
}

type Field = bigint | Buffer;
type Message = ReadonlyMap<number, readonly Field[]>;

export class OtlpReceiver {
  readonly spans: ReceivedSpan[] = [];
  readonly #server: Server;

  private constructor(status: number) {
    this.#server = createServer(async (request, response) => {
      const chunks: Buffer[] = [];
      for await (const chunk of request) chunks.push(chunk as Buffer);
      const isOurs = request.url === '/v1/traces' && request.headers['content-type'] === 'application/x-protobuf';
      if (isOurs && status === 200) this.spans.push(...spansOf(Buffer.concat(chunks)));
      response.writeHead(isOurs ? status : 404, { 'content-type': 'application/x-protobuf' }).end();
    });
  }

  /** @param status of its answers */
  static async start(status = 200): Promise<OtlpReceiver> {
    const receiver = new OtlpReceiver(status);
    receiver.#server.listen(0, '127.0.0.1');
    await once(receiver.#server, 'listening');
    return receiver;
  }

  get url(): string {
    return `http://127.0.0.1:${(this.#server.address() as AddressInfo).port}/v1/traces`;
  }

  stop(): void {
    this.#server.closeAllConnections();
    this.#server.close();
  }
}

function* spansOf(bytes: Buffer): Generator<ReceivedSpan> {
  for (const resourceSpans of messages(decode(bytes), 1)) {
    const resource = messages(resourceSpans, 1)[0] ?? new Map();
    const { 'service.name': service, 'service.instance.id': instance } = attributesOf(resource, 1);
    for (const scopeSpans of messages(resourceSpans, 2)) {
      for (const span of messages(scopeSpans, 2)) {
        yield {
          service: String(service),
          instance: String(instance),
          traceId: bytesOf(span, 1).toString('hex'),
          spanId: bytesOf(span, 2).toString('hex'),
          parentId: bytesOf(span, 4).toString('hex'),
          name: bytesOf(span, 5).toString(),
          kind: Number(span.get(6)?.[0] ?? 0n),
          startNs: span.get(7)?.[0] as bigint,
          endNs: span.get(8)?.[0] as bigint,
          attributes: attributesOf(span, 9),
          isError: messages(span, 15).some((status) => status.get(3)?.[0] === 2n),
        };
      }
    }
  }
}

function attributesOf(message: Message, field: number): Record<string, string | number | boolean> {
  const entries = messages(message, field).map((pair) => {
    const value = messages(pair, 2)[0] ?? new Map<number, readonly Field[]>();
    const [text, truth, integer, double] = [1, 2, 3, 4].map((kind) => value.get(kind)?.[0]);
    const plain = truth !== undefined ? truth === 1n : integer !== undefined ? Number(integer) : null;
    const number = double === undefined ? plain : doubleOf(double as bigint);
    return [bytesOf(pair, 1).toString(), text === undefined ? number : text.toString()];
  });
  return Object.fromEntries(entries);
}

function doubleOf(bits: bigint): number {
  const bytes = Buffer.alloc(8);
  bytes.writeBigUInt64LE(bits);
  return bytes.readDoubleLE();
}

const messages = (message: Message, field: number): Message[] =>
  (message.get(field) ?? []).map((bytes) => decode(bytes as Buffer));
const bytesOf = (message: Message, field: number): Buffer => (message.get(field)?.[0] as Buffer) ?? Buffer.alloc(0);

/** The wire format of protobuf: numbers, fixed numbers, and bytes, by the number of their field. */
function decode(bytes: Buffer): Message {
  const fields = new Map<number, Field[]>();
  let at = 0;
  const varint = (): bigint => {
    let value = 0n;
    for (let shift = 0n; ; shift += 7n) {
      const byte = bytes[at++]!;
      value |= BigInt(byte & 0x7f) << shift;
      if (byte < 0x80) return value;
    }
  };
  const next = (length: number): Buffer => {
    at += length;
    return bytes.subarray(at - length, at);
  };
  const fieldOf = (kind: number): Field => {
    switch (kind) {
      case 0:
        return varint();
      case 1:
        return next(8).readBigUInt64LE();
      case 2:
        return next(Number(varint()));
      case 5:
        return BigInt(next(4).readUInt32LE());
      default:
        throw new Error(`wire type ${kind} at ${at}`);
    }
  };
  while (at < bytes.length) {
    const key = Number(varint());
    const value = fieldOf(key & 7);
    fields.set(key >>> 3, [...(fields.get(key >>> 3) ?? []), value]);
  }
  return fields;
}

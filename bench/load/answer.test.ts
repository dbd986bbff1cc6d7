import t from 'tap';
import { AnswerView, answerBytesMax, answerIncomplete, answerMalformed, readAnswer } from './answer.js';

const view = new AnswerView();
const read = (text: string) => {
  const bytes = Buffer.from(text, 'latin1');
  return readAnswer(bytes, 0, bytes.length, view);
};

t.test('the reader finds status and body wherever the bytes are cut', async (t) => {
  const text = 'HTTP/1.1 402 Payment Required\r\nContent-Type: a\r\ncontent-LENGTH:  5\r\nX: y\r\n\r\nhello';
  for (let length = 0; length < text.length; length++) {
    t.equal(read(text.slice(0, length)), answerIncomplete, `cut at ${length}`);
  }
  t.equal(read(text), text.length);
  t.equal(view.status, 402);
  t.equal(text.slice(view.bodyStart, view.bodyEnd), 'hello');
});

t.test('the reader says where the next of several answers starts', async (t) => {
  const one = 'HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}';
  const two = 'HTTP/1.1 503 Busy\r\nContent-Length: 0\r\n\r\n';
  const bytes = Buffer.from(one + two);
  const first = readAnswer(bytes, 0, bytes.length, view);
  t.equal(first, one.length);
  t.equal(readAnswer(bytes, first, bytes.length, view), two.length);
  t.equal(view.status, 503);
  t.equal(view.bodyEnd - view.bodyStart, 0);
});

t.test('the reader refuses bytes that are no answer, have no length, or have one that is too long', async (t) => {
  t.equal(read('SMTP ready, go ahead'), answerMalformed);
  t.equal(read('HTTP/1.1 abc Text\r\nContent-Length: 1\r\n\r\nx'), answerMalformed);
  t.equal(read('HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n'), answerMalformed);
  t.equal(read(`HTTP/1.1 200 OK\r\nContent-Length: ${answerBytesMax + 1}\r\n\r\n`), answerMalformed);
  t.equal(read(`HTTP/1.1 200 OK\r\nX: ${'x'.repeat(answerBytesMax)}`), answerMalformed, 'the head has no end');
});

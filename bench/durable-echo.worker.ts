/** The syncer of the durable echo: sleeps until there is a batch, writes it, syncs it, says so. */
import { fdatasyncSync, openSync, writeSync } from 'node:fs';
import { parentPort, workerData } from 'node:worker_threads';
import { requestGate, slotBytes } from './durable-echo-gate.js';

const { shared, file } = workerData as { readonly shared: SharedArrayBuffer; readonly file: string };
/** As large as a segment of the journal, written once before: a sync need not change the file's size. */
const fileBytes = 64 * 1024 * 1024;
/** The journal's frames begin at sectors, too. */
const sectorBytes = 512;

const gate = requestGate(shared);
const fd = openSync(file, 'w');
writeSync(fd, new Uint8Array(fileBytes));
fdatasyncSync(fd);
let offset = 0;
for (;;) {
  const length = gate.take();
  if (length === 0) continue;
  if (offset + slotBytes > fileBytes) offset = 0;
  writeSync(fd, gate.bytes, 0, length, offset);
  fdatasyncSync(fd);
  offset += Math.ceil(length / sectorBytes) * sectorBytes;
  parentPort!.postMessage(null);
}

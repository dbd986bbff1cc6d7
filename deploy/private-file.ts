/** Files with secrets. */
import { open, rename } from 'node:fs/promises';

/** Writes a file that only its owner can read, so that a crash leaves the old or the new content, never a part. */
export async function writePrivateFile(path: string, content: string): Promise<void> {
  const partial = `${path}.partial`;
  const file = await open(partial, 'w', 0o600);
  try {
    await file.writeFile(content);
    await file.sync();
  } finally {
    await file.close();
  }
  await rename(partial, path);
}

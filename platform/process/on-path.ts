/** Programs that are installed on this machine. */
import { access } from 'node:fs/promises';
import { delimiter, isAbsolute, join } from 'node:path';

/** Where PATH has a program, or the folders of system programs, which are not on every user's PATH; null: nowhere. */
export async function onPath(program: string): Promise<string | null> {
  if (isAbsolute(program)) return (await isThere(program)) ? program : null;
  for (const folder of [...(process.env['PATH'] ?? '').split(delimiter), '/usr/sbin', '/sbin']) {
    const path = join(folder, program);
    if (folder !== '' && (await isThere(path))) return path;
  }
  return null;
}

function isThere(path: string): Promise<boolean> {
  return access(path).then(
    () => true,
    () => false,
  );
}

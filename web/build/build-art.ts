/** Makes our own art of the drawings in web/art: pictures in several sizes and types, and the icons of the app. */
import { createHash } from 'node:crypto';
import { mkdir, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import sharp from 'sharp';
import { encode } from '../../api/images/encodings.js';

const pictureTypes = ['avif', 'webp', 'jpeg'] as const;
/** For 360 CSS pixels on screens of one, two and three pixels each. */
const pictureWidths = [360, 720, 1080] as const;

/** A maskable icon is cut to any shape: its drawing stays within the middle four fifths. */
const icons = [
  { size: 180, purpose: 'any' },
  { size: 192, purpose: 'any' },
  { size: 512, purpose: 'any' },
  { size: 512, purpose: 'maskable' },
] as const;

export interface Icon {
  readonly file: string;
  readonly size: number;
  readonly purpose: string;
}

/** For the bundle: it gives them their names. */
export async function drawPictures(drawing: string, into: string): Promise<void> {
  await rm(into, { recursive: true, force: true });
  await mkdir(into, { recursive: true });
  for (const width of pictureWidths) {
    const picture = sharp(drawing, { density: 150 }).resize(width);
    for (const type of pictureTypes) {
      await writeFile(join(into, `entrance-${width}.${type}`), await encode(picture, type));
    }
  }
}

/** @returns the icons, whose files have the hash of their content in their names */
export async function drawIcons(drawing: string, into: string): Promise<Icon[]> {
  const drawn: Icon[] = [];
  for (const { size, purpose } of icons) {
    const inner = purpose === 'maskable' ? Math.round(size * 0.8) : size;
    const margin = (size - inner) / 2;
    const bytes = await sharp(drawing, { density: 1200 })
      .resize(inner, inner)
      .extend({ top: margin, bottom: margin, left: margin, right: margin, background: '#2457d6' })
      .png({ compressionLevel: 9 })
      .toBuffer();
    const file = `assets/icon-${size}-${createHash('sha256').update(bytes).digest('hex').slice(0, 8)}.png`;
    await writeFile(join(into, file), bytes);
    drawn.push({ file, size, purpose });
  }
  return drawn;
}

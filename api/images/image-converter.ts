/**
 * The process that reads uploaded images, the only importer of sharp in the API. It has no secret, no socket and low
 * priority: an image that breaks a decoder breaks this process and nothing else. What leaves is made of pixels alone,
 * without EXIF, profiles, comments or anything that followed the image.
 */
import { writeFileSync } from 'node:fs';
import { setPriority } from 'node:os';
import sharp, { type Sharp } from 'sharp';
import { type ImageFile, imageTypes, imageWidths } from '../stores/images.js';
import { encode } from './encodings.js';
import type { Converted } from './image-pool.js';

const megapixelsMax = 40;
/** Decoding stops here; the parent gives up a little later. */
const decodeS = 10;

setPriority(10);
try {
  // The worst image takes 470 MB for a moment. Where memory runs out, Linux ends this process first.
  writeFileSync('/proc/self/oom_score_adj', '1000');
} catch {
  // Another system.
}
sharp.cache(false);
// One image at a time, on one thread.
sharp.concurrency(1);
// Readers of other formats (SVG, PDF, TIFF …) stay shut, whatever the bytes claim to be.
sharp.block({ operation: ['VipsForeignLoad'] });
sharp.unblock({
  operation: ['Jpeg', 'Png', 'Webp', 'Heif'].map((format) => `VipsForeignLoad${format}Buffer`),
});

process.on('disconnect', () => process.exit());
process.on('message', (bytes: Uint8Array) => {
  void convert(bytes).then((answer) => process.send?.(answer));
});

async function convert(bytes: Uint8Array): Promise<Converted> {
  try {
    const image = sharp(bytes, { limitInputPixels: false, failOn: 'error', sequentialRead: true });
    const { width, height } = await image.metadata();
    if (width * height > megapixelsMax * 1_000_000) return { fault: `has more than ${megapixelsMax} megapixels` };
    return { files: await filesOf(image) };
  } catch {
    return { fault: 'cannot be read: it is damaged, or cut off' };
  }
}

async function filesOf(image: Sharp): Promise<ImageFile[]> {
  // The largest one is made of the upload, the others of that one.
  const largest = Math.max(...imageWidths);
  const { data, info } = await image
    .timeout({ seconds: decodeS })
    .autoOrient()
    .resize(largest, largest, { fit: 'cover' })
    .toColourspace('srgb')
    .raw({ depth: 'uchar' })
    .toBuffer({ resolveWithObject: true });
  const files: ImageFile[] = [];
  for (const width of imageWidths) {
    const scaled = sharp(data, { raw: info }).resize(width, width);
    for (const type of imageTypes) files.push({ width, type, bytes: await encode(scaled, type) });
  }
  return files;
}

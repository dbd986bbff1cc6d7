/** How our images are encoded: those of uploads, and our own art by the build. */
import type { Sharp } from 'sharp';
import type { ImageType } from '../stores/images.js';

const quality = 80;
/** On a core: 0.25 s for a noisy image of 384 pixels. One more and it is 1.2 s, for the same bytes. */
const avifEffort = 3;

export function encode(image: Sharp, type: ImageType): Promise<Buffer> {
  const copy = image.clone();
  switch (type) {
    case 'avif':
      return copy.avif({ quality, effort: avifEffort }).toBuffer();
    case 'webp':
      return copy.webp({ quality }).toBuffer();
    case 'jpeg':
      // JPEG has no transparency.
      return copy.flatten({ background: '#ffffff' }).jpeg({ quality, progressive: true }).toBuffer();
  }
}

/** An image as the API shows one: the same picture in several types and sizes, for the page to choose from. */
import { closed, type Static, Type } from '../http/schemas.js';
import { imageTypes, imageWidths } from '../stores/images.js';

export const Image = closed(
  {
    sources: Type.Array(
      closed({
        url: Type.String({ description: 'relative to this server; what it shows never changes' }),
        type: Type.String({ description: 'media type' }),
        width: Type.Integer({ minimum: 1, description: 'pixels; images are square' }),
      }),
    ),
  },
  { title: 'Image' },
);

/** Best compression first, as a page lists them. */
export function showImage(hash: string): Static<typeof Image> {
  const sources = imageTypes.flatMap((type) =>
    imageWidths.map((width) => ({ url: `/images/${hash}-${width}.${type}`, type: `image/${type}`, width })),
  );
  return { sources };
}

/** Sends an image as it is. What is too long is refused here, before it travels. */
import { ApiError, call } from '../kit/api.js';
import type { Image } from './shapes.js';

const bytesMax = 5 * 1024 * 1024;

export async function uploadImage(path: string, file: File): Promise<Image> {
  if (file.size > bytesMax) throw new ApiError(413, { title: 'body_too_large' });
  return call<Image>('PUT', path, { file });
}

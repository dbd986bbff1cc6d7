/** Our own art in every size, made of web/art by the build (web/build/build-art.ts). */

export const artTypes = ['avif', 'webp', 'jpeg'] as const;

export interface ArtFile {
  readonly url: string;
  readonly type: string;
  readonly width: number;
}

const urls: Readonly<Record<string, string>> = import.meta.glob('../../dist/web/art/entrance-*.{avif,webp,jpeg}', {
  eager: true,
  query: '?url',
  import: 'default',
});

export const art: readonly ArtFile[] = Object.entries(urls).map(([path, url]) => {
  const [, width, type = ''] = /-(\d+)\.(\w+)$/.exec(path) ?? [];
  return { url, type, width: Number(width) };
});

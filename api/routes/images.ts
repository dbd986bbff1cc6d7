/** Pictures of people and logos of companies: uploading, removing, and the files themselves. */

import { anyCaller, companyManagers } from '../auth/principal.js';
import { notFound } from '../http/problem.js';
import { route, type Upload } from '../http/route.js';
import { closed, IdParams, NoContent, Type } from '../http/schemas.js';
import { uploadBytesMax } from '../images/image-pool.js';
import type { Services } from '../services.js';
import { ownCompany } from './companies.js';
import { Image, showImage } from './image-schema.js';

const fileName = /^([0-9a-f]{64})-(\d{2,3})\.(avif|webp|jpeg)$/;
const description =
  'The body is a JPEG, PNG, WebP or AVIF image of at most 5 MiB and 40 megapixels. Its content decides, whatever ' +
  '`Content-Type` says. It is cropped to a square, and nothing but its pixels is kept.';
const tag = 'images';

export function imageRoutes(services: Services) {
  const { imagePool } = services;
  const upload = { mediaRange: 'image/*', bytesMax: uploadBytesMax, admit: imagePool.admit.bind(imagePool) };
  return [...pictureRoutes(services, upload), ...logoRoutes(services, upload), fileRoute(services)];
}

function pictureRoutes({ images, imagePool }: Services, upload: Upload) {
  return [
    route({
      method: 'PUT',
      url: '/api/me/picture',
      access: anyCaller,
      tag,
      operationId: 'setPicture',
      summary: 'Upload your picture',
      description,
      upload,
      errors: [422],
      schemas: { responses: { 200: Image } },
      handler: async ({ principal, body }) =>
        showImage((await images.setPicture(principal, await imagePool.convert(body)))!),
    }),
    route({
      method: 'DELETE',
      url: '/api/me/picture',
      access: anyCaller,
      tag,
      operationId: 'removePicture',
      summary: 'Remove your picture',
      schemas: { responses: { 204: NoContent } },
      handler: async ({ principal }) => images.setPicture(principal, []).then(() => null),
    }),
  ];
}

function logoRoutes({ images, imagePool }: Services, upload: Upload) {
  return [
    route({
      method: 'PUT',
      url: '/api/companies/:id/logo',
      access: companyManagers,
      target: 'company',
      tag,
      operationId: 'setLogo',
      summary: 'Upload the logo of a company',
      description,
      upload,
      errors: [422],
      schemas: { params: IdParams, responses: { 200: Image } },
      handler: async ({ principal, params, body }) => {
        ownCompany(principal, params.id);
        return showImage((await images.setLogo(principal, await imagePool.convert(body)))!);
      },
    }),
    route({
      method: 'DELETE',
      url: '/api/companies/:id/logo',
      access: companyManagers,
      target: 'company',
      tag,
      operationId: 'removeLogo',
      summary: 'Remove the logo of a company',
      schemas: { params: IdParams, responses: { 204: NoContent } },
      handler: async ({ principal, params }) => {
        ownCompany(principal, params.id);
        return images.setLogo(principal, []).then(() => null);
      },
    }),
  ];
}

function fileRoute({ images }: Services) {
  return route({
    method: 'GET',
    url: '/images/:file',
    access: 'public',
    tag,
    operationId: 'getImage',
    summary: 'A file of an image, as `sources` names it; it never changes',
    produces: 'image/*',
    errors: [404],
    schemas: { params: closed({ file: Type.String({ maxLength: 100 }) }), responses: { 200: Type.String() } },
    handler: async ({ params }, reply) => {
      const [, hash, width, type] = fileName.exec(params.file) ?? [];
      const bytes = hash === undefined ? null : await images.file(hash, Number(width), type!);
      if (bytes === null) throw notFound('image');
      return reply
        .headers({
          'content-type': `image/${type}`,
          'cache-control': 'public, max-age=31536000, immutable',
          // Shown by itself it is a picture, and nothing in it may run.
          'content-security-policy': "default-src 'none'; frame-ancestors 'none'; sandbox",
        })
        .send(bytes) as never;
    },
  });
}

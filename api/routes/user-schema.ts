/** A user as the API shows one. */
import { closed, Id, Kind, KycStatus, Role, type Static, Type } from '../http/schemas.js';
import type { UserRow } from '../stores/users.js';
import { Image, showImage } from './image-schema.js';
import { Metadata } from './metadata-schema.js';

export const User = closed(
  {
    id: Id,
    email: Type.String(),
    name: Type.String(),
    kind: Kind,
    companyId: Type.Optional(Id),
    role: Type.Optional(Role),
    kycStatus: KycStatus,
    metadata: Metadata,
    picture: Type.Optional(Image),
  },
  { title: 'User' },
);

export function showUser(user: UserRow): Static<typeof User> {
  return {
    id: user.publicId,
    email: user.email,
    name: user.name,
    kind: user.kind,
    ...(user.companyPublicId === null ? {} : { companyId: user.companyPublicId }),
    ...(user.role === null ? {} : { role: user.role }),
    kycStatus: user.kycStatus,
    metadata: user.metadata,
    ...(user.picture === null ? {} : { picture: showImage(user.picture) }),
  };
}

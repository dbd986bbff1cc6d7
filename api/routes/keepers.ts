/** Callers of routes that customers and operators share. */
import type { Acting, Keeper } from '../auth/principal.js';
import { notFound } from '../http/problem.js';
import type { Owned, Owners } from '../stores/tenancy.js';

/** The caller as one who may act on the object that the path names. Throws 404 where an operator names none. */
export async function keeperOn(
  owners: Owners,
  { actor, params }: { readonly actor: Acting; readonly params: { readonly id: string } },
  kind: Owned,
): Promise<Acting<Keeper>> {
  const keeper = await owners.keeperOf(actor, kind, params.id);
  if (keeper === null) throw notFound(kind);
  return keeper;
}

/** A page whose thing is not there: still on its way, unknown, or refused. */
import type { Resource } from '../../kit/resource.js';
import { Failed, Loading } from '../../kit/states.js';

interface UnreadProps {
  readonly title: string;
  readonly resource: Resource<unknown>;
}

export function Unread({ title, resource: { error, isLoading, reload } }: UnreadProps) {
  return (
    <>
      <h1>{title}</h1>
      {error !== null && !isLoading ? <Failed error={error} retry={reload} /> : <Loading lines={8} />}
    </>
  );
}

/** What one component of `/health` says of itself, with a detail that a person can act on. */
export interface ComponentHealth {
  readonly status: 'healthy' | 'unhealthy' | 'disabled';
  readonly detail: string;
}

export function healthy(detail: string): ComponentHealth {
  return { status: 'healthy', detail };
}

export function unhealthy(detail: string): ComponentHealth {
  return { status: 'unhealthy', detail };
}

export function disabled(detail: string): ComponentHealth {
  return { status: 'disabled', detail };
}

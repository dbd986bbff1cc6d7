/** Settings of tests in which one address and one person send more than people do. */
export const noLimits: Readonly<Record<string, string>> = {
  RATE_LIMIT_PERSON_PER_MINUTE: '100000000',
  RATE_LIMIT_KEY_PER_MINUTE: '100000000',
  RATE_LIMIT_ANONYMOUS_PER_MINUTE: '100000000',
  RATE_LIMIT_ADDRESS_PER_MINUTE: '100000000',
  TENANT_REQUESTS_MAX: '100000',
  TENANT_REPORTS_MAX: '100000',
};

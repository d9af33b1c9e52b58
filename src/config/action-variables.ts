import { labActionVariables } from './lab-action-variables.ts'

/** What actions for services other than Kinesis may do. */
export const actionVariables = {
  SLUICE_HTTP_ACTION_HOSTS: {
    kind: 'text',
    whenUnset: 'addresses of the internet only',
    description:
      'Names, and private or loopback addresses, separated by commas, that actions may call whose rule names a URL.',
  },
  SLUICE_HTTP_ACTION_CONFIRM_URL: {
    kind: 'text',
    whenUnset: 'the host of the request that makes a destination, or the address of this API',
    description: 'URL of this HTTP API for endpoints that confirm a topic rule destination.',
  },
  ...labActionVariables,
} as const

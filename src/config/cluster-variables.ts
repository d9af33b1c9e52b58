import type { VariableTable } from './variable.ts'

/** The variables of a cluster on NATS JetStream. */
export const clusterVariables = {
  SLUICE_NATS_URL: {
    kind: 'text',
    whenUnset: 'the engine is no part of a cluster, and nothing of NATS is loaded',
    isSecret: true,
    description:
      'NATS servers of the cluster, separated by commas, such as `nats://nats-0:4222,nats://nats-1:4222`.',
  },
  SLUICE_CLUSTER_NAME: {
    kind: 'pattern',
    pattern: /^[A-Za-z0-9_-]{1,64}$/,
    form: '1 to 64 letters, digits, `-` and `_`',
    default: 'sluice',
    description:
      'Name of the cluster: engines with the same name and NATS servers share their work.',
  },
  SLUICE_NATS_CREDENTIALS_FILE: {
    kind: 'text',
    whenUnset: 'no user JWT',
    description: 'File with the user JWT and its seed, as `nsc` writes it, mode 600.',
  },
  SLUICE_NATS_NKEY_FILE: {
    kind: 'text',
    whenUnset: 'no NKEY',
    description: 'File with the seed of the user NKEY (`SU...`), mode 600.',
  },
  SLUICE_NATS_CA_FILE: {
    kind: 'text',
    whenUnset: 'the CAs that Node.js trusts',
    description: 'PEM file with the CAs of the NATS servers; connections must be over TLS then.',
  },
  SLUICE_NATS_CERT_FILE: {
    kind: 'text',
    whenUnset: 'no client certificate',
    description: 'PEM file with the certificate chain that NATS servers are shown.',
  },
  SLUICE_NATS_KEY_FILE: {
    kind: 'text',
    whenUnset: 'no client certificate',
    description: 'PEM file with the unencrypted private key of `SLUICE_NATS_CERT_FILE`, mode 600.',
  },
  SLUICE_NATS_MONITOR_URL: {
    kind: 'text',
    whenUnset: 'the log warns that `sync_interval: always` was not checked',
    description:
      'URLs of the monitoring ports of all NATS servers, separated by commas, such as `http://nats-0:8222`.',
  },
} as const satisfies VariableTable

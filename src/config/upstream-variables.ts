import type { VariableTable } from './variable.ts'

/** The variables of a broker whose messages are read (docs/UPSTREAM.md). */
export const upstreamVariables = {
  SLUICE_UPSTREAM_URL: {
    kind: 'text',
    whenUnset: 'no other broker is read, and no MQTT client is loaded',
    description:
      'URL of a broker whose messages run the rules: `mqtt://`, `mqtts://`, `ws://` or `wss://` (docs/UPSTREAM.md).',
  },
  SLUICE_UPSTREAM_FILTERS: {
    kind: 'text',
    default: '#',
    description: 'Topic filters of its messages, separated by commas.',
  },
  SLUICE_UPSTREAM_SHARE_GROUP: {
    kind: 'text',
    whenUnset: 'this engine gets every message',
    description:
      'Group of a shared subscription (`$share/<group>/<filter>`), whose engines share the messages.',
  },
  SLUICE_UPSTREAM_MQTT_VERSION: {
    kind: 'choice',
    choices: ['5', '3.1.1'],
    default: '5',
    description: 'Version of MQTT that is spoken to it.',
  },
  SLUICE_UPSTREAM_CLIENT_ID: {
    kind: 'text',
    whenUnset: 'an id that is made once and kept in the data folder',
    description: 'Client id at that broker, by which it keeps the session.',
  },
  SLUICE_UPSTREAM_USER: {
    kind: 'text',
    whenUnset: 'no user name is sent',
    description: 'User name at that broker.',
  },
  SLUICE_UPSTREAM_PASSWORD: {
    kind: 'text',
    isSecret: true,
    whenUnset: 'no password is sent, unless there is a file',
    description: 'Password of that user; a file is safer.',
  },
  SLUICE_UPSTREAM_PASSWORD_FILE: {
    kind: 'text',
    whenUnset: 'no password is sent, unless the variable has one',
    description: 'File whose first line is the password of that user.',
  },
  SLUICE_UPSTREAM_CA_FILE: {
    kind: 'text',
    whenUnset: 'the CAs that come with Node.js',
    description: 'PEM file of the CAs by which that broker is verified.',
  },
  SLUICE_UPSTREAM_CERT_FILE: {
    kind: 'text',
    whenUnset: 'no client certificate is shown',
    description: 'PEM file of the client certificate that is shown to that broker.',
  },
  SLUICE_UPSTREAM_KEY_FILE: {
    kind: 'text',
    whenUnset: 'no client certificate is shown',
    description: 'PEM file of the unencrypted private key of that certificate.',
  },
  SLUICE_UPSTREAM_ALPN: {
    kind: 'pattern',
    pattern: /^[!-~]{1,255}$/,
    form: 'the name of a protocol, such as x-amzn-mqtt-ca',
    whenUnset: '`x-amzn-mqtt-ca` for AWS IoT Core on port 443, else none',
    description: 'Application protocol (ALPN) that is asked for in the TLS handshake.',
  },
  SLUICE_UPSTREAM_SESSION_EXPIRY_S: {
    kind: 'integer',
    range: { minimum: 0, maximum: 4_294_967_294 },
    default: 86_400,
    description:
      'Seconds that the broker is asked to keep the session, and messages in it, while Sluice is away; 0 keeps none.',
  },
  SLUICE_UPSTREAM_UNACKNOWLEDGED_MAX: {
    kind: 'integer',
    range: { minimum: 1, maximum: 65_535 },
    default: 256,
    description: 'Messages of that broker that are handled at a time.',
  },
} as const satisfies VariableTable

import type { VariableTable } from './variable.ts'

/** The variables of what MQTT clients may do. */
export const mqttVariables = {
  SLUICE_MQTT_PROFILE: {
    kind: 'choice',
    choices: ['aws', 'open'] as const,
    whenUnset: '`aws` in the lab, `open` in `start`',
    description:
      'Whether MQTT is narrowed as AWS IoT Core does it, or open to all of the standard (docs/MQTT.md).',
  },
  SLUICE_MQTT_SESSION_EXPIRY_S: {
    kind: 'integer',
    range: { minimum: 0, maximum: 604_800 },
    default: 3_600,
    description:
      'Seconds that a session waits for its MQTT client, and the most that a client of MQTT 5 gets.',
  },
  SLUICE_MQTT_RETAINED_MAX: {
    kind: 'integer',
    range: { minimum: 0, maximum: 10_000_000 },
    default: 10_000,
    description:
      'Retained messages; 64 MiB of them, or 1 KiB for each where that is more. Memory holds all of them.',
  },
  SLUICE_MQTT_CONNECTIONS_MAX: {
    kind: 'integer',
    range: { minimum: 1, maximum: 1_000_000 },
    default: 10_000,
    description: 'MQTT connections at a time: plain, over TLS and over WebSocket together.',
  },
  SLUICE_MQTT_CONNECTIONS_PER_ADDRESS_MAX: {
    kind: 'integer',
    range: { minimum: 0, maximum: 1_000_000 },
    default: 1_000,
    description: 'MQTT connections at a time from one IPv4 address or IPv6 /64; 0 is no limit.',
  },
  SLUICE_MQTT_CONNECT_RATE: {
    kind: 'integer',
    range: { minimum: 0, maximum: 100_000 },
    default: 100,
    description:
      'New MQTT connections a second from one address, with bursts of ten times as many; 0 is no limit.',
  },
  SLUICE_MQTT_PUBLISH_RATE: {
    kind: 'integer',
    range: { minimum: 0, maximum: 1_000_000 },
    default: 0,
    description: 'Messages a second that one MQTT client may publish; 0 is no limit.',
  },
  SLUICE_MQTT_PACKET_TIMEOUT_MS: {
    kind: 'integer',
    range: { minimum: 0, maximum: 3_600_000 },
    default: 30_000,
    description:
      'Time for an MQTT packet that has begun, and a second more for each 512 bytes of it; 0 is no limit.',
  },
  SLUICE_MQTT_TOPIC_BYTES_MAX: {
    kind: 'integer',
    range: { minimum: 1, maximum: 65_535 },
    default: 256,
    description: 'UTF-8 bytes of a topic or a topic filter, as on AWS.',
  },
  SLUICE_MQTT_TOPIC_SLASHES_MAX: {
    kind: 'integer',
    // The broker takes 100 levels, three of which may be a Basic Ingest prefix.
    range: { minimum: 0, maximum: 96 },
    default: 7,
    description: 'Slashes of a topic or a topic filter, as on AWS.',
  },
  SLUICE_MQTT_PAYLOAD_BYTES_MAX: {
    kind: 'integer',
    range: { minimum: 1, maximum: 1_048_576 },
    default: 131_072,
    description:
      'Bytes of the payload of a message, as on AWS; also over HTTP and in tests of rules.',
  },
  SLUICE_MQTT_FILTERS_PER_SUBSCRIBE_MAX: {
    kind: 'integer',
    range: { minimum: 1, maximum: 1_000 },
    default: 8,
    description: 'Topic filters in one SUBSCRIBE, as on AWS; more end the connection.',
  },
  SLUICE_MQTT_CLIENT_ID_BYTES_MAX: {
    kind: 'integer',
    range: { minimum: 1, maximum: 65_535 },
    default: 128,
    description: 'UTF-8 bytes of an MQTT client id, as on AWS.',
  },
} as const satisfies VariableTable

import type { LimitedLog } from '../../telemetry/limited-log.ts'
import type { Metrics } from '../../telemetry/telemetry.ts'

/** Why a connection ends before MQTT begins: label of the counter, key of the log, and log text. */
const texts = Object.freeze({
  too_many_connections: 'a connection was refused: there are too many',
  too_many_from_address: 'a connection was refused: there are too many from its address',
  connect_rate: 'a connection was refused: its address connects too often',
  accept_failed: 'a connection could not be accepted',
  proxy_header: 'a connection of a trusted proxy was refused: its PROXY header is not valid',
  tls_handshake: 'a connection ended in the TLS handshake',
  client_certificate: 'a connection was refused: its client certificate could not be verified',
  connect_timeout: 'a connection was closed: its CONNECT did not arrive in time',
  stopping: 'a connection was refused: the broker is stopping',
  upgrade_refused: 'a request for a WebSocket was refused',
  signature_refused: 'a WebSocket was refused: its signed URL is not valid',
  origin_refused: 'a WebSocket was refused: it was opened by a page of another origin',
  web_socket_protocol: 'a WebSocket was closed: it violated the protocol',
  held_bytes: 'a client was disconnected',
  packet_timeout: 'a client was disconnected',
})
export type Refusal = keyof typeof texts

type RefuseConnection = (
  reason: Refusal,
  about: { readonly sourceIp?: string | undefined; readonly detail?: string },
) => void

/** Counts every refusal, and logs a limited number of each kind. */
export function createRefusals({
  log,
  metrics,
}: {
  readonly log: LimitedLog
  readonly metrics: Metrics
}): RefuseConnection {
  return (reason, about) => {
    metrics.mqttConnectionsRefused.inc({ reason })
    log.warn(reason, { reason, ...about }, texts[reason])
  }
}

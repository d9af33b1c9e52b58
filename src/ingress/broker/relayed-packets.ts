import type { PublishPacket } from 'aedes'
import type { Clock } from '../../base/clock.ts'
import type { Mqtt5Properties } from '../../message.ts'
import { isBasicIngest } from '../../topics/topic.ts'
import { carriedBy, markRelayed } from '../kept/carried-properties.ts'
import type { Relay } from '../relay/relay.ts'

/** Sends a message that is handed to the subscribers here to those of other nodes, too. */
export function relayPacket(
  relay: Relay,
  packet: PublishPacket,
  publisher: string | undefined,
  clock: Pick<Clock, 'monotonicMs'>,
): void {
  const { topic, payload, qos } = packet
  const carried = carriedBy(packet)
  if (carried?.isRelayed === true || topic.startsWith('$SYS/') || isBasicIngest(topic)) return
  relay.send({
    topic,
    payload: payload as Buffer,
    qos,
    publisher,
    mqtt5: remaining(carried, clock.monotonicMs()),
  })
}

function remaining(
  carried: ReturnType<typeof carriedBy>,
  nowMs: number,
): Mqtt5Properties | undefined {
  const { mqtt5, expiresAtMs } = carried ?? {}
  if (mqtt5 === undefined || expiresAtMs === undefined) return mqtt5
  const messageExpirySeconds = Math.max(0, Math.ceil((expiresAtMs - nowMs) / 1_000))
  return { ...mqtt5, messageExpirySeconds }
}

/** A message of another node as a packet for the subscribers here. */
export function relayedPacket(packet: PublishPacket, publisher: string | undefined): PublishPacket {
  ;(packet as { clientId?: string | undefined }).clientId = publisher
  markRelayed(packet)
  return packet
}

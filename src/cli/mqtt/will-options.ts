import type { Command } from 'commander'
import type { IClientOptions } from 'mqtt'
import { SluiceError } from '../../base/errors.ts'
import { parseQos } from './broker-options.ts'
import { checkTopic } from './publish-topic.ts'

/** What the broker publishes for a client that is cut off, [MQTT-3.1.2-8]. */
export interface WillOptions {
  readonly willTopic?: string
  readonly willMessage?: string
  readonly willQos: 0 | 1 | 2
  readonly willRetain: boolean
}

export function withWillOptions(command: Command): Command {
  return command
    .option('--will-topic <topic>', 'topic of the will: published if the connection is cut off')
    .option('--will-message <text>', 'its payload')
    .option('--will-qos <n>', 'its QoS', parseQos, 1)
    .option('--will-retain', 'it is retained', false)
}

/** @throws SluiceError ConfigInvalid, InvalidRequestException */
export function willOf(options: WillOptions): IClientOptions['will'] {
  const { willTopic, willMessage, willQos, willRetain } = options
  if (willTopic === undefined) {
    if (willMessage === undefined) return undefined
    throw new SluiceError('ConfigInvalid', 'a will needs a topic: --will-topic')
  }
  checkTopic(willTopic)
  const payload = Buffer.from(willMessage ?? '')
  return { topic: willTopic, payload, qos: willQos, retain: willRetain }
}

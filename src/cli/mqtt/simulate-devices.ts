import { createReadStream } from 'node:fs'
import { createInterface } from 'node:readline'
import { SluiceError, messageOf } from '../../base/errors.ts'
import { systemClock } from '../../base/clock.ts'
import { resolveBroker } from './broker-options.ts'
import type { BrokerOptions } from './broker-options.ts'
import { createFleet } from './fleet.ts'
import type { DeviceMessage } from './fleet.ts'
import type { Host } from '../terminal/host.ts'
import { topicFault } from './publish-topic.ts'
import { countMatches, matchesLine } from './rule-matches.ts'

export interface SimulateOptions extends BrokerOptions {
  readonly rate: number
  readonly file: string
  readonly repeat: boolean
}

/**
 * `sluice simulate`.
 *
 * @throws SluiceError (rejects) ConfigInvalid, BrokerUnreachable, BrokerRefused
 */
export async function simulateDevices(host: Host, options: SimulateOptions): Promise<void> {
  const stop = new AbortController()
  void host.stopRequested().then(() => stop.abort())
  const messages = await readMessages(options.file)
  const broker = await resolveBroker(host, options)
  const matchedBefore = await countMatches(host, options)
  const progress = await createProgress(host, options.repeat ? undefined : messages.length)
  const fleet = createFleet(broker, { signal: stop.signal, acknowledged: progress.acknowledged })
  const startedMs = systemClock.monotonicMs()
  let sent = 0
  try {
    do {
      for (const message of messages) {
        const earlyMs = startedMs + (sent * 1000) / options.rate - systemClock.monotonicMs()
        if (earlyMs > 0) await systemClock.sleep(earlyMs, stop.signal)
        if (stop.signal.aborted) break
        await fleet.publish(message)
        sent += 1
      }
    } while (options.repeat && !stop.signal.aborted)
    await fleet.drained()
  } finally {
    progress.stop()
    await fleet.close()
  }
  const seconds = (systemClock.monotonicMs() - startedMs) / 1000
  const count = fleet.acknowledged()
  host.stdout.write(
    `${count} ${count === 1 ? 'message' : 'messages'} published and acknowledged ` +
      `in ${seconds.toFixed(1)} s (${Math.round(count / seconds)} messages/s)\n`,
  )
  if (count < sent) host.stdout.write(`${sent - count} were stopped before their answer\n`)
  host.stdout.write(matchesLine(matchedBefore, await countMatches(host, options)))
}

async function readMessages(file: string): Promise<readonly DeviceMessage[]> {
  const messages: DeviceMessage[] = []
  let line = 0
  try {
    for await (const payload of createInterface({ input: createReadStream(file) })) {
      line += 1
      if (payload.trim() !== '') messages.push(readMessage(payload))
    }
  } catch (thrown) {
    const where = line === 0 ? file : `${file}, line ${line}`
    throw new SluiceError('ConfigInvalid', `${where}: ${messageOf(thrown)}`, { cause: thrown })
  }
  if (messages.length > 0) return messages
  throw new SluiceError('ConfigInvalid', `${file} holds no messages`)
}

function readMessage(payload: string): DeviceMessage {
  const read: unknown = JSON.parse(payload)
  const device = typeof read === 'object' && read && 'device' in read ? read.device : undefined
  if (typeof device !== 'string' || device === '') {
    throw new Error('it has no "device" member with text')
  }
  const topic = `env/${device}/telemetry`
  const fault = topicFault(topic)
  if (fault) throw new Error(`the device "${device}" makes no topic: ${fault}`)
  return { device, topic, payload }
}

/** A bar where a person watches; silence otherwise, since the closing line says it all. */
async function createProgress(host: Host, total: number | undefined) {
  if (!host.stdout.isTTY) return { acknowledged: () => undefined, stop: () => undefined }
  const { default: cliProgress } = await import('cli-progress')
  const bar = new cliProgress.SingleBar({
    format: total
      ? '{bar} {value} of {total} acknowledged, {eta_formatted} left'
      : '{value} acknowledged, {duration_formatted}',
    barCompleteChar: '█',
    barIncompleteChar: '░',
    hideCursor: true,
  })
  bar.start(total ?? 0, 0)
  return { acknowledged: () => bar.increment(), stop: () => bar.stop() }
}

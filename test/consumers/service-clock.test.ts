import { expect, onTestFinished, test } from 'vitest'
import { createKinesisReads } from '../../src/consumers/kinesis-reads.ts'
import { createPollingReader } from '../../src/consumers/polling-reader.ts'
import { createServiceClock } from '../../src/consumers/service-clock.ts'
import { createManualClock } from '../helpers/manual-clock.ts'
import { noDelays, startLab } from '../lab/lab-fixtures.ts'
import { access } from './consumer-parts.ts'

const dateOf = (epochMs: number) => new Date(epochMs).toUTCString()
const nowMs = Date.UTC(2026, 5, 1)

test('the time of a service is that of this machine until an answer has said it', () => {
  const clock = createManualClock(nowMs)
  const service = createServiceClock(clock)
  service.note(undefined)
  service.note('no date')
  expect(service.nowMs()).toBe(nowMs)
})

test('the time of a service goes on from its best answer, and is never ahead', () => {
  const clock = createManualClock(nowMs)
  const service = createServiceClock(clock)
  const serviceMs = () => clock.wallMs() + 7_200_400
  service.note(dateOf(serviceMs()))
  expect(serviceMs() - service.nowMs()).toBe(400)
  clock.advance(700)
  service.note(dateOf(serviceMs()))
  expect(serviceMs() - service.nowMs()).toBe(100)
  clock.advance(500)
  // An answer that was long on its way says less, and does no harm.
  service.note(dateOf(serviceMs() - 5_000))
  expect(serviceMs() - service.nowMs()).toBe(100)
})

test('a service that sets its clock back is followed after a minute', () => {
  const clock = createManualClock(nowMs)
  const service = createServiceClock(clock)
  service.note(dateOf(nowMs + 60_000))
  clock.advance(30_000)
  service.note(dateOf(clock.wallMs()))
  expect(service.nowMs()).toBe(clock.wallMs() + 60_000)
  clock.advance(31_000)
  service.note(dateOf(clock.wallMs()))
  expect(service.nowMs()).toBe(clock.wallMs())
})

test('a read is complete up to a time of the service, also where the own clock is ahead', async () => {
  const labClock = createManualClock()
  const lab = await startLab({ clock: labClock, statusMs: noDelays })
  lab.ensureStream('s', 1)
  const clock = createManualClock(labClock.wallMs() + 3_600_000)
  const reads = createKinesisReads(access(lab), 's', { clock })
  onTestFinished(() => reads.close())
  const logger = { warn: () => undefined, error: () => undefined }
  const reader = createPollingReader(
    { reads, clock, logger },
    { pollIntervalMs: 1_000, recordsMax: 10 },
  )
  const stopping = new AbortController()
  const from = { type: 'TRIM_HORIZON' } as const
  const first = await reader.read('shardId-000000000000', from, stopping.signal).next()
  stopping.abort()
  expect(first.value).toMatchObject({ asOfMs: labClock.wallMs() })
})

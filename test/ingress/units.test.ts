import * as fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { createAnswerQueue } from '../../src/ingress/broker/answer-queue.ts'
import { createFrameReader } from '../../src/ingress/gate/frame-reader.ts'
import { frameLength } from '../../src/ingress/gate/frames.ts'
import { createKeepAlive } from '../../src/ingress/gate/keep-alive.ts'
import { createLimitedLog } from '../../src/telemetry/limited-log.ts'
import { findTopicTextFault } from '../../src/topics/topic.ts'
import { awsTopicLimits } from '../../src/topics/topic-filter.ts'
import { createMemoryLogger } from '../../src/telemetry/telemetry.ts'
import { createManualClock } from '../helpers/manual-clock.ts'
import { connectPacket, encode, publishPacket } from './helpers.ts'

describe('the frame reader', () => {
  const payloadBytesMax = 1_000
  const packets = fc.array(
    fc.oneof(
      fc.record({
        payload: fc.uint8Array({ maxLength: payloadBytesMax }).map((bytes) => Buffer.from(bytes)),
        qos: fc.constantFrom(0 as const, 1 as const, 2 as const),
      }),
      fc.constant('ping' as const),
    ),
    { maxLength: 30 },
  )

  test('gives the same frames however the bytes arrive, and takes out the PINGREQs', () => {
    fc.assert(
      fc.property(packets, fc.array(fc.nat(700)), (wanted, sizes) => {
        const connect = encode(connectPacket())
        const frames = wanted.map((packet) =>
          packet === 'ping' ? Buffer.from([0xc0, 0]) : encode(publishPacket(packet)),
        )
        const reader = createFrameReader({
          ...awsTopicLimits,
          payloadBytesMax,
          filtersPerSubscribeMax: 8,
          qosMax: 2,
        })
        const passed: Buffer[] = []
        let pings = 0
        for (const chunk of cut(Buffer.concat([connect, ...frames]), sizes)) {
          const read = reader.read(chunk, true)
          expect(read.fault).toBeUndefined()
          pings += read.pings
          passed.push(...read.runs.flatMap(framesOf))
        }
        const isPing = (_: unknown, index: number) => wanted[index] === 'ping'
        expect(pings).toBe(frames.filter(isPing).length)
        const others = frames.filter((frame, index) => !isPing(frame, index))
        expect(Buffer.concat(passed)).toEqual(Buffer.concat([connect, ...others]))
        expect(passed.length).toBe(others.length + 1)
      }),
      { numRuns: 200 },
    )
  })

  test('never throws, whatever comes', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 300 }), fc.array(fc.nat(40)), (bytes, sizes) => {
        const reader = createFrameReader({
          ...awsTopicLimits,
          payloadBytesMax,
          filtersPerSubscribeMax: 8,
          qosMax: 2,
        })
        reader.read(encode(connectPacket()), true)
        for (const chunk of cut(Buffer.from(bytes), sizes)) {
          const { runs, fault } = reader.read(chunk, true)
          expect(runs.every((run) => framesOf(run).length > 0)).toBe(true)
          if (fault !== undefined) return
        }
      }),
      { numRuns: 500 },
    )
  })
})

/** Cuts bytes into chunks of these sizes, the last size over and over. */
function cut(bytes: Buffer, sizes: readonly number[]): Buffer[] {
  const chunks: Buffer[] = []
  for (let offset = 0, index = 0; offset < bytes.length; index++) {
    const size = 1 + (sizes[Math.min(index, sizes.length - 1)] ?? bytes.length)
    chunks.push(bytes.subarray(offset, offset + size))
    offset += size
  }
  return chunks
}

function framesOf(run: Buffer): Buffer[] {
  const frames: Buffer[] = []
  for (let offset = 0; offset < run.length;) {
    const length = frameLength(run, offset)
    frames.push(run.subarray(offset, offset + length))
    offset += length
  }
  return frames
}

describe('the answer queue', () => {
  test('answers each once, in order, whatever order outcomes come in', async () => {
    const places = fc.array(fc.record({ fails: fc.boolean(), pends: fc.boolean() }), {
      maxLength: 20,
    })
    const done = Promise.resolve()
    await fc.assert(
      fc.asyncProperty(fc.scheduler(), places, async (scheduler, wanted) => {
        const queue = createAnswerQueue()
        const answered: number[] = []
        let pending = 0
        wanted.forEach(({ fails, pends }, index) => {
          const outcome = scheduler.schedule(fails ? Promise.reject(new Error('no')) : done)
          const answer = (fault: unknown) => {
            expect(pending).toBe(0)
            expect(fault !== undefined).toBe(fails)
            answered.push(index)
            if (!pends) return 'done'
            pending++
            const goesOut = async () => {
              await scheduler.schedule(done)
              pending--
              queue.answered()
            }
            void goesOut()
            return 'pending'
          }
          queue.add(outcome, answer, false)
        })
        await scheduler.waitIdle()
        expect(answered).toEqual(wanted.map((_, index) => index))
      }),
      { numRuns: 100 },
    )
  })

  test('ends its connection when a message fails behind one that has no outcome', async () => {
    const queue = createAnswerQueue()
    const answered: string[] = []
    const add = (name: string, outcome: Promise<void>, isAwaited = true) => {
      const answer = (fault: object | undefined) => {
        answered.push(fault ? `${name} failed` : name)
        return 'pending' as const
      }
      queue.add(outcome, answer, isAwaited)
    }
    const ending = new AbortController()
    const ended = new Promise<void>((resolve) => {
      ending.signal.addEventListener('abort', () => resolve())
    })
    queue.onFailure = () => answered.push('ends') > 0
    add('1', ended)
    add('2', Promise.resolve())
    add('3', Promise.reject(new Error('no')), false)
    await new Promise(setImmediate)
    expect(answered).toEqual([])
    add('4', Promise.reject(new Error('no')))
    await new Promise(setImmediate)
    expect(answered).toEqual(['ends', '2', '3 failed', '4 failed'])
    add('5', Promise.resolve())
    ending.abort()
    await new Promise(setImmediate)
    expect(answered.slice(4).toSorted()).toEqual(['1', '5'])
  })
})

describe('the keepalive', () => {
  test('ends after one and a half times, unless bytes arrive', () => {
    const clock = createManualClock(0)
    const events: string[] = []
    const keepAlive = createKeepAlive(clock, {
      isWaiting: () => false,
      ping: () => events.push('ping'),
      timedOut: () => events.push(`timed out at ${clock.wallMs()}`),
    })
    keepAlive.start(10)
    clock.advance(12_000)
    keepAlive.heardAtMs = clock.monotonicMs()
    clock.advance(14_999)
    expect(events).toEqual([])
    clock.advance(1)
    expect(events).toEqual(['timed out at 27000'])
  })

  test('does not run while the client is held back, and PINGRESPs are sent', () => {
    const clock = createManualClock(0)
    let isWaiting = true
    const events: string[] = []
    const keepAlive = createKeepAlive(clock, {
      isWaiting: () => isWaiting,
      ping: () => events.push(`ping at ${clock.wallMs()}`),
      timedOut: () => events.push(`timed out at ${clock.wallMs()}`),
    })
    keepAlive.start(10)
    clock.advance(22_000)
    isWaiting = false
    clock.advance(100_000)
    const pings = [5, 10, 15, 20].map((seconds) => `ping at ${seconds * 1000}`)
    expect(events).toEqual([...pings, 'timed out at 35000'])
  })
})

describe('the limited log', () => {
  test('falls silent after its lines, and says later how many were left out', () => {
    const clock = createManualClock(0)
    const lines: Record<string, unknown>[] = []
    const logger = createMemoryLogger((line) => lines.push(line))
    const log = createLimitedLog({ logger, clock }, { linesMax: 2, intervalMs: 1_000 })
    for (let index = 0; index < 5; index++) log.warn('a', {}, `a${index}`)
    log.warnOnce('b', {}, 'b0')
    log.warnOnce('b', {}, 'b1')
    clock.advance(1_000)
    log.warn('a', {}, 'a5')
    expect(lines.map(({ msg, suppressed }) => [msg, suppressed])).toEqual([
      ['a0', undefined],
      ['a1', undefined],
      ['b0', undefined],
      ['a5', 3],
    ])
  })
})

describe('topics', () => {
  test('checking any text throws nothing, and a valid one holds nothing forbidden', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'binary', maxLength: 300 }), (topic) => {
        if (findTopicTextFault(topic) !== undefined) return
        expect(topic).toMatch(/^[^+#\0]+$/)
        expect(Buffer.byteLength(topic)).toBeLessThanOrEqual(400)
      }),
    )
  })
})

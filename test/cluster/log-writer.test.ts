/** Batches of one node are stored once and in order, whatever becomes of requests and answers. */
import { expect, test } from 'vitest'
import { createLogWriter } from '../../src/cluster/log/log-writer.ts'
import type { Mark } from '../../src/cluster/log/log-writer.ts'
import type { BatchMessage, BatchOutcome } from '../../src/cluster/log/publish-batch.ts'
import { LogFullError } from '../../src/cluster/log/replicated-log.ts'
import { createManualClock } from '../helpers/manual-clock.ts'
import { moveClockUntil } from '../helpers/move-clock.ts'
import { createRandom } from '../helpers/random.ts'
import type { Random } from '../helpers/random.ts'

const markSubject = 'mark'

/** A stream that compares as NATS does: with the last sequence of a subject, before all else. */
function createStream() {
  const stored: (BatchMessage & { readonly sequence: number })[] = []
  let sequence = 0
  const lastOf = (subject: string) => stored.findLast((message) => message.subject === subject)
  return {
    stored,
    isFull: false,
    mark(): Mark | undefined {
      const last = lastOf(markSubject)
      return last && { sequence: last.sequence, batch: Number(Buffer.from(last.data).toString()) }
    },
    publish(messages: readonly BatchMessage[]): BatchOutcome {
      const headers = new Map(messages[0]?.headers)
      const expected = Number(headers.get('Nats-Expected-Last-Subject-Sequence'))
      if ((lastOf(markSubject)?.sequence ?? 0) !== expected) return { kind: 'wrong-last' }
      if (this.isFull) return { kind: 'full', text: 'maximum bytes exceeded' }
      const firstSequence = sequence + 1
      for (const message of messages) stored.push({ ...message, sequence: ++sequence })
      return { kind: 'stored', firstSequence }
    },
  }
}

/** A network that loses requests and answers, delivers late, and asks a leader of long ago. */
function createWriter(stream: ReturnType<typeof createStream>, random: Random) {
  const clock = createManualClock()
  const closing = new AbortController()
  const has = (percent: number) => random(100) < percent
  const pause = () => clock.sleep(1 + random(20))
  const unknown = { kind: 'unknown', text: 'timeout' } as const
  let earlier: Mark | undefined
  const writer = createLogWriter(
    {
      clock,
      waiting: () => undefined,
      takeRoom: async () => undefined,
      async publish(messages) {
        await pause()
        if (has(20)) return unknown
        if (has(10)) {
          // It arrives when the node has already asked again, or gone on.
          clock.after(random(2_000), () => void stream.publish(messages))
          return unknown
        }
        stream.isFull = has(5)
        const outcome = stream.publish(messages)
        return has(30) ? unknown : outcome
      },
      async readMark() {
        await pause()
        const mark = has(10) ? earlier : stream.mark()
        earlier = mark
        return mark
      },
    },
    { markSubject, closing: closing.signal },
  )
  return { writer, clock, closing }
}

test('each batch once, in the order of the calls, with 200 kinds of bad luck', async () => {
  for (let seed = 0; seed < 200; seed++) {
    const stream = createStream()
    const { writer, clock } = createWriter(stream, createRandom(seed))
    const outcomes = Array.from({ length: 20 }, async (_, number) => {
      const messages = [1, 2].map((part) => ({
        subject: 'out',
        data: Buffer.from(`${number}.${part}`),
      }))
      try {
        await writer.append(messages)
        return `${number}`
      } catch (thrown) {
        if (thrown instanceof LogFullError) return undefined
        throw thrown
      }
    })
    const settled = Promise.all(outcomes)
    await moveClockUntil(clock, settled)
    const acknowledged = (await settled).filter((number) => number !== undefined)
    const texts = stream.stored
      .filter(({ subject }) => subject === 'out')
      .map(({ data }) => Buffer.from(data).toString())
    const numbers = texts.filter((text) => text.endsWith('.1')).map((text) => text.slice(0, -2))
    // Batches are whole, and none is there twice.
    expect(texts).toEqual(numbers.flatMap((number) => [`${number}.1`, `${number}.2`]))
    expect(new Set(numbers).size, `seed ${seed}`).toBe(numbers.length)
    expect(numbers.filter((number) => acknowledged.includes(number))).toEqual(acknowledged)
    expect(numbers.map(Number)).toEqual(numbers.map(Number).toSorted((a, b) => a - b))
  }
})

test('a batch that waits is rejected when the log is closed', async () => {
  const stream = createStream()
  const { clock, closing } = createWriter(stream, () => 0)
  const writer = createLogWriter(
    {
      clock,
      waiting: () => undefined,
      takeRoom: async () => undefined,
      publish: async () => ({ kind: 'unknown', text: 'timeout' }),
      readMark: async () => undefined,
    },
    { markSubject, closing: closing.signal },
  )
  const waiting = writer.append([{ subject: 'out', data: Buffer.from('1') }])
  closing.abort()
  await expect(waiting).rejects.toThrow('closed')
  expect(writer.length).toBe(0)
})

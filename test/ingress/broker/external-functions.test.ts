/** A rule that waits, seen by the devices: the broker and the engine together. */
import { describe, expect, test } from 'vitest'
import { numberFromInteger } from '../../../src/sql/values/numbers.ts'
import { engineWith, keysOf, kinesis, ruleWith } from '../../helpers/engine-parts.ts'
import { createHeldAnswers } from '../../helpers/held-answers.ts'
import { testEnvironment } from '../../helpers/messages.ts'
import { connectRaw, publishPacket, settle, startIngress, until } from '../helpers.ts'

const unansweredMax = 64
const rule = ruleWith(
  'slow',
  "SELECT n FROM 't/+' WHERE topic(2) = 'quick' OR aws_lambda('f', *) = 1",
  [kinesis({ partitionKey: '${n}' })],
)

async function startWaiting() {
  const answers = createHeldAnswers()
  const { engine, appended } = engineWith([rule], {
    environment: { ...testEnvironment, callExternal: answers.call },
  })
  const { port, messages, metric } = await startIngress((message, sender) =>
    engine.ingest(message, sender),
  )
  return { answers, appended, port, messages, metric }
}

const publish = (topic: string, n: number) =>
  publishPacket({ qos: 1, topic, messageId: n, payload: JSON.stringify({ n }) })

describe('while a rule waits for an external function', () => {
  test('its client gets no answer, the others do; then all in order', async () => {
    const { answers, appended, port } = await startWaiting()
    const waits = await connectRaw(port, { clientId: 'waits' })
    const other = await connectRaw(port, { clientId: 'other' })
    waits.send(publish('t/slow', 1), publish('t/quick', 2), publish('t/quick', 3))
    await until(() => answers.waiting.length === 1)
    other.send(publish('t/quick', 9))
    expect(await other.next()).toMatchObject({ cmd: 'puback', messageId: 9 })
    await settle()
    expect(waits.waiting).toEqual([])

    await answers.answer(0, numberFromInteger(1))
    for (const messageId of [1, 2, 3]) {
      expect(await waits.next()).toMatchObject({ cmd: 'puback', messageId })
    }
    expect(appended.flatMap(keysOf)).toEqual(['9', '1', '2', '3'])
  })

  test('its client has 64 publishes under way at most', async () => {
    const { answers, appended, port, messages } = await startWaiting()
    const client = await connectRaw(port, { clientId: 'many' })
    const numbers = Array.from({ length: 200 }, (_, index) => index + 1)
    client.send(...numbers.map((n) => publish(n === 1 ? 't/slow' : 't/quick', n)))
    await until(() => messages.length === unansweredMax)
    await settle()
    expect(messages).toHaveLength(unansweredMax)

    await answers.answer(0, numberFromInteger(1))
    await until(() => appended.length === numbers.length)
    expect(appended.flatMap(keysOf)).toEqual(numbers.map(String))
  })
})

describe('messages whose connection went before their turn', () => {
  const will = { topic: 't/quick', payload: Buffer.from('{"n":0}'), qos: 1, retain: false } as const
  const numbers = [1, 2, 3, 4, 5]

  test.each([0, 1] as const)('are dropped at QoS %i; the will is not', async (qos) => {
    const { answers, appended, port, messages, metric } = await startWaiting()
    const first = await connectRaw(port, { clientId: 'waits', will })
    first.send(...numbers.map((n) => ({ ...publish('t/slow', n), qos })))
    await until(() => messages.length === numbers.length)
    first.destroy()
    await until(() => messages.length === numbers.length + 1)
    const second = await connectRaw(port, { clientId: 'waits' })
    second.send(publish('t/quick', 9))
    await until(() => messages.length === numbers.length + 2)
    // That which has begun is the only one to wait for.
    await answers.answer(0, numberFromInteger(1))
    expect(await second.next()).toMatchObject({ cmd: 'puback', messageId: 9 })
    expect(answers.waiting).toEqual([])
    expect(appended.flatMap(keysOf)).toEqual(['1', '0', '9'])
    await until(async () => (await metric('messagesRejected', { reason: 'connection_gone' })) === 4)
  })

  test('are kept where a later connection has sent them again by QoS 2', async () => {
    const { answers, appended, port, messages } = await startWaiting()
    const session = { clientId: 'waits', clean: false }
    const exactlyOnce = (n: number, dup: boolean) =>
      ({ ...publish('t/slow', n), qos: 2, dup }) as const
    const first = await connectRaw(port, session)
    first.send(...[1, 2, 3].map((n) => exactlyOnce(n, false)))
    await until(() => messages.length === 3)
    first.destroy()
    const second = await connectRaw(port, session)
    second.send(exactlyOnce(1, true), exactlyOnce(2, true), publish('t/quick', 9))
    await until(() => messages.length === 4)
    for (const _ of [1, 2]) {
      await until(() => answers.waiting.length === 1)
      await answers.answer(0, numberFromInteger(1))
    }
    expect(await second.next()).toMatchObject({ cmd: 'pubrec', messageId: 1 })
    expect(await second.next()).toMatchObject({ cmd: 'pubrec', messageId: 2 })
    expect(await second.next()).toMatchObject({ cmd: 'puback', messageId: 9 })
    expect(appended.flatMap(keysOf)).toEqual(['1', '2', '9'])
  })
})

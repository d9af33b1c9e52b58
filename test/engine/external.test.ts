/** What a rule that waits for an external function means for the messages behind it. */
import * as fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { createClientOrder } from '../../src/engine/client-order.ts'
import { evaluateRule } from '../../src/engine/evaluate-rule.ts'
import { numberFromInteger } from '../../src/sql/values/numbers.ts'
import { engineWith, keysOf, kinesis, ruleWith } from '../helpers/engine-parts.ts'
import { createHeldAnswers } from '../helpers/held-answers.ts'
import { messageWith, testEnvironment } from '../helpers/messages.ts'

const call = "aws_lambda('f', {'n': n})"
/** Waits for a result where `slow` is set. */
const slowRule = ruleWith('slow', `SELECT n FROM 'a/b' WHERE isUndefined(slow) OR ${call} = 1`, [
  kinesis({ partitionKey: '${n}' }),
])
const quickRule = ruleWith('quick', "SELECT n FROM 'a/b'", [kinesis({ partitionKey: 'q${n}' })])

function engineThatWaits(rules = [slowRule]) {
  const answers = createHeldAnswers()
  const parts = engineWith(rules, {
    environment: { ...testEnvironment, callExternal: answers.call },
  })
  const done: number[] = []
  const send = (n: number, given: { slow?: boolean; clientId?: string; topic?: string } = {}) => {
    const { slow, ...rest } = given
    const payload = slow ? { n, slow } : { n }
    return parts.engine.ingest(messageWith({ ...rest, payload })).then(() => done.push(n))
  }
  return { ...parts, answers, send, done, keys: () => parts.appended.flatMap(keysOf) }
}

describe('a message that waits', () => {
  test('holds back the later messages of its client, and lets none pass', async () => {
    const { answers, send, keys, done } = engineThatWaits()
    const all = [send(1, { slow: true }), send(2), send(3, { slow: true }), send(4)]
    expect(keys()).toEqual([])
    expect(answers.waiting).toHaveLength(1)
    await answers.answer(0, numberFromInteger(1))
    expect(keys()).toEqual(['1', '2'])
    await answers.answer(0, numberFromInteger(1))
    expect(keys()).toEqual(['1', '2', '3', '4'])
    await Promise.all(all)
    expect(done).toEqual([1, 2, 3, 4])
  })

  test('holds back no other client, and no message without a client', async () => {
    const { answers, send, keys } = engineThatWaits()
    const waits = send(1, { slow: true, clientId: 'c1' })
    await send(2, { clientId: 'c2' })
    expect(keys()).toEqual(['2'])
    const second = send(3, { slow: true, clientId: 'c2' })
    await answers.answer(1, numberFromInteger(1))
    await second
    expect(keys()).toEqual(['2', '3'])
    await answers.answer(0, numberFromInteger(1))
    await waits
    expect(keys()).toEqual(['2', '3', '1'])
  })

  test('is acknowledged when its records are durable, and not when that fails', async () => {
    const { answers, send, keys, done, failWith } = engineThatWaits()
    const first = send(1, { slow: true })
    await answers.answer(0, numberFromInteger(1))
    await first
    expect([keys(), done]).toEqual([['1'], [1]])
    const second = send(2, { slow: true }).catch(String)
    failWith(new Error('disk is full'))
    await answers.answer(0, numberFromInteger(1))
    expect(await second).toBe('Error: disk is full')
    expect(done).toEqual([1])
  })

  test('is one append, with the records of rules that did not wait', async () => {
    const { answers, send, appended } = engineThatWaits([quickRule, slowRule])
    const sent = send(1, { slow: true })
    expect(appended).toEqual([])
    await answers.answer(0, numberFromInteger(1))
    await sent
    expect(appended.map(keysOf)).toEqual([['q1', '1']])
  })

  test('leaves nothing behind: the next message is taken at once', async () => {
    const { answers, send, keys } = engineThatWaits()
    const sent = send(1, { slow: true })
    await answers.answer(0, numberFromInteger(1))
    await sent
    void send(2)
    expect(keys()).toEqual(['1', '2'])
  })
})

describe('a function that fails', () => {
  test('ends its rule without actions, is counted, and logged once a minute', async () => {
    const { answers, send, appended, logged, metrics } = engineThatWaits([slowRule, quickRule])
    for (const n of [1, 2]) {
      const sent = send(n, { slow: true })
      await answers.fail(0, 'AccessDeniedException: no')
      await sent
    }
    expect(appended.map(keysOf)).toEqual([['q1'], ['q2']])
    const text = await metrics.registry.metrics()
    expect(text).toContain('sluice_rule_evaluations_total{rule="slow",result="failed"} 2')
    expect(text).toContain('sluice_rule_evaluations_total{rule="quick",result="matched"} 2')
    expect(logged).toHaveLength(1)
    expect(logged[0]).toMatchObject({
      level: 'error',
      rule: 'slow',
      code: 'ExternalFunctionFailed',
      where: 'aws_lambda()',
      topic: 'a/b',
      msg: 'rule slow: aws_lambda(): AccessDeniedException: no',
    })
  })

  test('keeps the order', async () => {
    const { answers, send, keys } = engineThatWaits()
    const all = [send(1, { slow: true }), send(2, { slow: true }), send(3)]
    await answers.fail(0, 'no')
    await answers.answer(0, numberFromInteger(1))
    await Promise.all(all)
    expect(keys()).toEqual(['2', '3'])
  })

  test('in the template of an action ends the rule', async () => {
    const rule = ruleWith('t', "SELECT n FROM 'a/b'", [
      kinesis({ partitionKey: 'sure' }),
      kinesis({ partitionKey: `\${get_thing_shadow('t', 'r').key}` }),
    ])
    const { answers, send, appended } = engineThatWaits([rule])
    const sent = send(1)
    await answers.fail(0, 'no shadow')
    await sent
    expect(appended).toEqual([])
  })
})

describe('evaluateRule waits, too', () => {
  const rule = ruleWith('t', "SELECT n FROM 'a/b'", [
    kinesis({ partitionKey: `\${get_thing_shadow('t', 'r').key}` }),
  ])

  test('for results', async () => {
    const environment = { ...testEnvironment, callExternal: async () => new Map([['key', 'k1']]) }
    const { actions, failures } = await evaluateRule(rule, messageWith(), environment)
    expect(actions).toMatchObject([{ kind: 'kinesis', records: [{ partitionKey: 'k1' }] }])
    expect(failures).toEqual([])
  })

  test('and reports failures', async () => {
    const { matched, actions, failures } = await evaluateRule(rule, messageWith(), testEnvironment)
    expect([matched, actions]).toEqual([false, []])
    expect(failures).toEqual([
      {
        code: 'ExternalFunctionFailed',
        message: 'this engine has no way to call it',
        where: 'get_thing_shadow()',
      },
    ])
  })
})

test('whatever the order of the answers, each client keeps its own', async () => {
  const clients = fc.constantFrom('c1', 'c2', 'c3')
  const sends = fc.array(fc.record({ clientId: clients, slow: fc.boolean() }), { maxLength: 12 })
  await fc.assert(
    fc.asyncProperty(sends, fc.infiniteStream(fc.nat()), async (given, choices) => {
      const { answers, send, appended } = engineThatWaits()
      const sent = given.map((each, n) => send(n, each))
      while (answers.waiting.length > 0) {
        const { value: choice = 0 } = choices.next()
        await answers.answer(choice % answers.waiting.length, numberFromInteger(1))
      }
      await Promise.all(sent)
      const places = appended.flatMap(keysOf).map(Number)
      expect(places).toHaveLength(given.length)
      for (const clientId of ['c1', 'c2', 'c3']) {
        const own = places.filter((n) => given[n]?.clientId === clientId)
        expect(own).toEqual(own.toSorted((left, right) => left - right))
      }
    }),
    { numRuns: 50 },
  )
})

test('work that fails does not stop the work behind it', async () => {
  const order = createClientOrder()
  const message = messageWith({ clientId: 'c' })
  const first = order.inTurn(message, () => Promise.reject(new Error('a fault')))
  const second = order.inTurn(message, () => 'done')
  await expect(first).rejects.toThrow('a fault')
  expect(await second).toBe('done')
})

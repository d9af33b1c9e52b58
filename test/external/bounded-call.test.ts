import { describe, expect, test } from 'vitest'
import { createBoundedCall } from '../../src/external/bounded-call.ts'
import type { ExternalRequest } from '../../src/sql/sql.ts'
import { createHeldAnswers } from '../helpers/held-answers.ts'
import { createManualClock } from '../helpers/manual-clock.ts'

const underwayMax = 256
const never = new AbortController().signal
const lambda = (text: string): ExternalRequest => ({
  function: 'aws_lambda',
  functionArn: 'f',
  inputJson: text,
})

function boundedCalls() {
  const clock = createManualClock()
  const answers = createHeldAnswers()
  const call = createBoundedCall(answers.call, { clock })
  /** As many calls as may be under way. */
  const fill = () => Array.from({ length: underwayMax }, () => call(lambda('{}'), never))
  return { clock, answers, call, fill }
}

const turn = () => new Promise((resolve) => setImmediate(resolve))

describe('calls in flight', () => {
  test('are 256 at most, further calls wait', async () => {
    const { answers, call, fill } = boundedCalls()
    const first = fill()
    const others = ['"a"', '"b"'].map((text) => call(lambda(text), never))
    await turn()
    expect(answers.waiting).toHaveLength(underwayMax)
    await answers.answer(0, 'answer')
    expect(answers.waiting.at(-1)).toEqual(lambda('"a"'))
    await answers.answer(0, 'answer')
    expect(answers.waiting.at(-1)).toEqual(lambda('"b"'))
    while (answers.waiting.length > 0) await answers.answer(0, 'answer')
    expect(new Set(await Promise.all([...first, ...others]))).toEqual(new Set(['answer']))
  })

  test('a call that is aborted while it waits takes no slot', async () => {
    const { answers, call, fill } = boundedCalls()
    const first = fill()
    const abort = new AbortController()
    const givenUp = call(lambda('"a"'), abort.signal).catch(String)
    const last = call(lambda('"b"'), never)
    await turn()
    abort.abort()
    expect(await givenUp).toContain('given up')
    await answers.answer(0, 'answer')
    expect(answers.waiting.at(-1)).toEqual(lambda('"b"'))
    while (answers.waiting.length > 0) await answers.answer(0, 'answer')
    await Promise.all([...first, last])
    expect(answers.waiting).toEqual([])
  })

  test('a failed call releases its slot', async () => {
    const { answers, call, fill } = boundedCalls()
    const first = fill().map((each) => each.catch(String))
    const last = call(lambda('"a"'), never)
    await turn()
    await answers.fail(0, 'no')
    expect(await first[0]).toBe('Error: no')
    while (answers.waiting.length > 0) await answers.answer(0, 'answer')
    expect(await last).toBe('answer')
  })
})

describe('the timeout of a call', () => {
  test.for<[ExternalRequest, number]>([
    [lambda('{}'), 2_000],
    [{ function: 'get_thing_shadow', thingName: 't', roleArn: 'r' }, 5_000],
  ])('$0.function: $1 ms', async ([request, timeoutMs]) => {
    const { clock, call } = boundedCalls()
    let isOver = false
    const outcome = call(request, never)
      .catch(String)
      .finally(() => {
        isOver = true
      })
    await turn()
    clock.advance(timeoutMs - 1)
    await turn()
    expect(isOver).toBe(false)
    clock.advance(1)
    expect(await outcome).toBe(`Error: no answer within ${timeoutMs} ms`)
  })

  test('includes the time that it waits for a slot', async () => {
    const { clock, call, fill } = boundedCalls()
    const first = fill().map((each) => each.catch(String))
    const last = call(lambda('"a"'), never).catch(String)
    await turn()
    clock.advance(2_000)
    expect(await last).toBe('Error: no answer within 2000 ms')
    await Promise.all(first)
  })
})

test('nothing is asked once the signal is aborted', async () => {
  const { answers, call } = boundedCalls()
  await expect(call(lambda('{}'), AbortSignal.abort())).rejects.toThrow('aborted')
  expect(answers.waiting).toEqual([])
})

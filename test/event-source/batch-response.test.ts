import { describe, expect, test } from 'vitest'
import { readResponse } from '../../src/event-source/batch-response.ts'

const numbers = ['10', '11', '12', '13']
const failures = (...identifiers: unknown[]) =>
  JSON.stringify({ batchItemFailures: identifiers.map((itemIdentifier) => ({ itemIdentifier })) })

describe('a response of ReportBatchItemFailures', () => {
  test.each([
    ['null', 'null'],
    ['an empty object', '{}'],
    ['an empty list', '{"batchItemFailures": []}'],
    ['a null list', '{"batchItemFailures": null}'],
    ['a text', '"done"'],
    ['something else', '{"statusCode": 200}'],
  ])('that is %s is success', (_, payload) => {
    const { result } = readResponse(payload, numbers, { reportsFailures: true, hasWindow: false })
    expect(result).toEqual({ kind: 'succeeded' })
  })

  test.each([
    ['an empty itemIdentifier', failures('')],
    ['a null itemIdentifier', failures(null)],
    ['an unknown itemIdentifier', failures('12', '99')],
    ['a misspelt member', '{"batchItemFailures": [{"itemIdentifer": "12"}]}'],
    ['entries that are no objects', '{"batchItemFailures": ["12"]}'],
    ['a list that is none', '{"batchItemFailures": "12"}'],
    ['the first record', failures('10')],
  ])('with %s is the failure of all', (_, payload) => {
    const { result } = readResponse(payload, numbers, { reportsFailures: true, hasWindow: false })
    expect(result).toEqual({ kind: 'failed' })
  })

  test.each([
    [['12'], 2],
    [['13', '11'], 1],
    [['13', '13'], 3],
  ])('the lowest number of %j counts', (identifiers, index) => {
    const payload = failures(...identifiers)
    const { result } = readResponse(payload, numbers, { reportsFailures: true, hasWindow: false })
    expect(result).toEqual({ kind: 'failedFrom', index })
  })

  test('is not read when the mapping does not ask for it', () => {
    const { result } = readResponse(failures('12'), numbers, {
      reportsFailures: false,
      hasWindow: false,
    })
    expect(result).toEqual({ kind: 'succeeded' })
  })
})

describe('with a tumbling window', () => {
  const rules = { reportsFailures: false, hasWindow: true }
  test('the state is handed on', () => {
    expect(readResponse('{"state": {"sum": 3}}', numbers, rules)).toEqual({
      result: { kind: 'succeeded' },
      state: { sum: 3 },
    })
  })
  test('a response without state is a failure', () => {
    expect(readResponse('{}', numbers, rules).result).toEqual({ kind: 'failed' })
  })
})

import { describe, expect, test } from 'vitest'
import {
  destinationAt,
  openRecordingService,
  outcomesOf,
  queuedRecordsOf,
} from './recording-service.ts'
import type { RuleMessage, ServiceAnswer } from './recording-service.ts'
import { dataCases } from './data-cases.ts'
import { queueCases } from './queue-cases.ts'
import { recordCases } from './record-cases.ts'
import { documentCases, endedCases } from './server-cases.ts'

/** Sends the records that an action makes of messages in one call, to a service that answers so. */
async function sendTo(definition: object, messages: readonly RuleMessage[], answer: ServiceAnswer) {
  const service = await openRecordingService(() => answer)
  const { records, made } = queuedRecordsOf(definition, messages)
  const [record] = made
  if (record === undefined) throw new Error('the action made no record')
  const sender = service.aws.senderFor(destinationAt(service.endpoint, record))
  const outcome = await sender.send(records, new AbortController().signal)
  const sent = service.requests.map(({ operation, parameters }) => [operation, parameters])
  return { sent, outcomes: outcomesOf(outcome), sender }
}

describe.each([...queueCases, ...dataCases, ...recordCases, ...documentCases, ...endedCases])(
  '$name',
  ({ definition, messages = [{}, {}], one, several, parts = [], failures }) => {
    test('one record', async () => {
      const { sent, outcomes } = await sendTo(definition, messages.slice(0, 1), one.answer)
      expect(sent).toEqual([one.sent])
      expect(outcomes).toEqual(['ok'])
    })

    test.for(several ? [several] : [])('several records', async ({ answer, sent: expected }) => {
      const { sent, outcomes, sender } = await sendTo(definition, messages, answer)
      expect(sent).toEqual([expected])
      expect(outcomes).toEqual(['ok', 'ok'])
      expect(sender.recordsMax).toBeGreaterThan(1)
    })

    test.for(parts)('%s', async ([, answer, expected]) => {
      const { outcomes } = await sendTo(definition, messages, answer)
      expect(outcomes).toEqual(expected)
    })

    test.for(failures)('%s', async ([, answer, expected]) => {
      const { outcomes } = await sendTo(definition, messages.slice(0, 1), answer)
      expect(String(outcomes).split(' ')[0]).toBe(expected)
    })
  },
)

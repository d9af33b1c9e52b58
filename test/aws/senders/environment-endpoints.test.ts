import { writeFileSync } from 'node:fs'
import path from 'node:path'
import { describe, expect, onTestFinished, test } from 'vitest'
import { createActionRefusals } from '../../../src/app/rule-stage.ts'
import { configuredEndpoint } from '../../../src/aws/call/configured-endpoint.ts'
import type { Service } from '../../../src/aws/call/service-failures.ts'
import { temporaryDirectory } from '../../outbox/outbox-parts.ts'
import { definitionOf } from '../../actions/kinds/service-action-fixtures.ts'
import {
  destinationAt,
  openRecordingService,
  outcomesOf,
  queuedRecordsOf,
} from './recording-service.ts'
import type { RecordingService } from './recording-service.ts'
import { endedCases } from './server-cases.ts'
import { dataCases } from './data-cases.ts'
import { queueCases } from './queue-cases.ts'
import { recordCases } from './record-cases.ts'

/** Sets a variable of the process until the test ends. */
function setVariable(name: string, value: string): void {
  const before = process.env[name]
  process.env[name] = value
  onTestFinished(() => {
    if (before === undefined) delete process.env[name]
    else process.env[name] = before
  })
}

describe.each([...queueCases, ...dataCases, ...recordCases])(
  '$name',
  ({ definition, messages = [{}], one }) => {
    test('is called where AWS_ENDPOINT_URL says', async () => {
      const service = await openRecordingService(() => one.answer)
      setVariable('AWS_ENDPOINT_URL', service.endpoint)
      const { records, made } = queuedRecordsOf(definition, messages.slice(0, 1))
      const [record] = made
      if (record === undefined) throw new Error('the action made no record')
      const sender = service.aws.senderFor(destinationAt(undefined, record))
      const outcome = await sender.send(records, new AbortController().signal)
      expect(outcomesOf(outcome)).toEqual(['ok'])
      expect(service.requests.map(({ operation }) => operation)).toEqual([one.sent[0]])
    })
  },
)

describe.each([
  ['AWS_ENDPOINT_URL_IOT_EVENTS_DATA', 'iotEvents', /^AWS ended AWS IoT Events on 20 May 2026; /],
  ['AWS_ENDPOINT_URL_IOTANALYTICS', 'iotAnalytics', /^AWS ended AWS IoT Analytics on 15 December/],
  ['AWS_ENDPOINT_URL_SALESFORCE', 'salesforce', /documented nowhere; /],
] as const)('%s', (variable, kind, reason) => {
  const endedCase = endedCases.find(({ definition }) => kind in definition)

  async function send(service: RecordingService) {
    const { definition = {}, messages = [] } = endedCase ?? {}
    const { records, made } = queuedRecordsOf(definition, messages)
    const [record] = made
    if (record === undefined) throw new Error('the action made no record')
    const sender = service.aws.senderFor(destinationAt(undefined, record))
    return outcomesOf(await sender.send(records, new AbortController().signal))
  }

  test(`lets rules with ${kind} be made, and is called`, async () => {
    const service = await openRecordingService(() => endedCase?.one.answer ?? {})
    setVariable(variable, service.endpoint)
    expect((await createActionRefusals()).refusalOf(kind, {})).toBeUndefined()
    expect(await send(service)).toEqual(['ok'])
    expect(service.requests.map(({ operation }) => operation)).toEqual([endedCase?.one.sent[0]])
  })

  test('the endpoint for all services does not stand for it', async () => {
    const service = await openRecordingService(() => ({}))
    setVariable('AWS_ENDPOINT_URL', service.endpoint)
    const refusal = (await createActionRefusals()).refusalOf(kind, {})
    expect(refusal).toMatch(reason)
    expect(refusal).toContain(`${variable} names a server`)
    // Records that the outbox already holds wait.
    expect(await send(service)).toBe('destination EndpointMissing')
    expect(service.requests).toEqual([])
  })
})

describe('the endpoint of a profile', () => {
  test.each<[string, string, Service, string | undefined]>([
    ['for all services', 'endpoint_url = http://all', 'SQS', 'http://all'],
    ['for one service', services('sqs'), 'SQS', 'http://one'],
    ['for a service with another name', services('timestream_write'), 'Timestream', 'http://one'],
    ['for another service', services('sns'), 'SQS', undefined],
    [
      'that is to be ignored',
      'ignore_configured_endpoint_urls = true\nendpoint_url = http://all',
      'SQS',
      undefined,
    ],
    ['that is not there', 'region = eu-west-1', 'SQS', undefined],
  ])('%s', async (_, lines, service, expected) => {
    const file = path.join(temporaryDirectory(), 'config')
    writeFileSync(file, `[default]\n${lines}\n`)
    setVariable('AWS_CONFIG_FILE', file)
    expect(await configuredEndpoint(service)).toBe(expected)
  })
})

/** The lines of a profile with an endpoint for one service. */
function services(name: string): string {
  return `services = mine\n[services mine]\n${name} =\n  endpoint_url = http://one`
}

test('the URL of a queue names the queue, and not where to call', async () => {
  const service = await openRecordingService(() => ({ status: 500 }))
  const other = await openRecordingService(() => ({ status: 500 }))
  setVariable('AWS_ENDPOINT_URL_SQS', service.endpoint)
  const definition = definitionOf('sqs', { queueUrl: `${other.endpoint}/123456789012/q` })
  const { records, made } = queuedRecordsOf(definition, [{}])
  const [record] = made
  if (record === undefined) throw new Error('the action made no record')
  const sender = service.aws.senderFor(destinationAt(undefined, record))
  await sender.send(records, new AbortController().signal)
  expect([service.requests.length, other.requests.length]).toEqual([1, 0])
})

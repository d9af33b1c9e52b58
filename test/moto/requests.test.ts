/**
 * Requests to services that moto does not have, checked against botocore's models: the models that
 * AWS's own client for Python sends by.
 */
import { spawn } from 'node:child_process'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { text } from 'node:stream/consumers'
import { afterAll, describe, expect, test } from 'vitest'
import { definitionOf, functionArn, lambda } from '../actions/kinds/service-action-fixtures.ts'
import {
  destinationAt,
  openRecordingService,
  outcomesOf,
  queuedRecordsOf,
} from '../aws/senders/recording-service.ts'
import type { RuleMessage, SentRequest, ServiceAnswer } from '../aws/senders/recording-service.ts'
import { firstLineOf, installPython } from './python.ts'

/** The last line of releases that know AWS IoT Analytics as well. */
const botocorePackage = 'botocore==1.41.0'

/** A Python with botocore: the one that `BOTOCORE_PYTHON` names, or one of its own. */
async function findPython(): Promise<{ command: string } | { reason: string }> {
  const given = process.env['BOTOCORE_PYTHON']
  if (given !== undefined) return { command: given }
  const folder = mkdtempSync(path.join(tmpdir(), 'sluice-botocore-'))
  afterAll(() => rmSync(folder, { recursive: true, force: true }))
  try {
    return { command: path.join(await installPython(folder, botocorePackage), 'python') }
  } catch (thrown) {
    return { reason: firstLineOf(thrown) }
  }
}

const python = await findPython()
const why = 'reason' in python ? ` cannot be had: ${python.reason}` : ''

interface Checked {
  /** As botocore names it. */
  readonly service: string
  readonly operation: string
  readonly sent: Pick<SentRequest, 'line' | 'headers' | 'bytes'>
}

/** @returns what is wrong with each request */
async function problemsOf(requests: readonly Checked[]): Promise<readonly (readonly string[])[]> {
  const { command } = 'command' in python ? python : { command: 'python3' }
  const script = path.join(import.meta.dirname, 'check_requests.py')
  const child = spawn(command, [script], { stdio: ['pipe', 'pipe', 'inherit'] })
  child.stdin.end(
    JSON.stringify(
      requests.map(({ service, operation, sent: { line, headers, bytes } }) => {
        const [method, target] = line.split(' ')
        return { service, operation, method, path: target, headers, body: bytes.toString('base64') }
      }),
    ),
  )
  return JSON.parse(await text(child.stdout)) as readonly (readonly string[])[]
}

/** The request that the records of messages make in one call. */
async function requestOf(
  definition: object,
  messages: readonly RuleMessage[],
  answer: ServiceAnswer,
): Promise<SentRequest> {
  const service = await openRecordingService(() => answer)
  const { records, made } = queuedRecordsOf(definition, messages)
  const [record] = made
  if (record === undefined) throw new Error('the action made no record')
  const sender = service.aws.senderFor(destinationAt(service.endpoint, record))
  const outcome = await sender.send(records, new AbortController().signal)
  expect(outcomesOf(outcome)).toEqual(messages.map(() => 'ok'))
  const [request] = service.requests
  if (request === undefined) throw new Error('nothing was sent')
  return request
}

const two: readonly RuleMessage[] = ['d1', 'd2'].map((id, index) => ({
  output: `{"t":${index}}`,
  payload: { id, v: index + 0.5 },
}))
const noErrors: ServiceAnswer = { body: { errorEntries: [], Errors: [] } }

const siteWise = (value: object) =>
  definitionOf('iotSiteWise', {
    putAssetPropertyValueEntries: [
      {
        entryId: '${id}',
        propertyAlias: '/plant/${id}',
        propertyValues: [
          {
            value,
            timestamp: { timeInSeconds: '1700000000', offsetInNanos: '999999999' },
            quality: 'UNCERTAIN',
          },
        ],
      },
      {
        assetId: 'a1b2c3d4-5678-90ab-cdef-1a1a1EXAMPLE',
        propertyId: 'a1b2c3d4-5678-90ab-cdef-33333EXAMPLE',
        propertyValues: [{ value, timestamp: { timeInSeconds: '1700000000' } }],
      },
    ],
  })

const cases: readonly (readonly [
  service: string,
  operation: string,
  definition: object,
  messages: readonly RuleMessage[],
  answer: ServiceAnswer,
])[] = [
  ...[
    { doubleValue: '${v}' },
    { integerValue: '${floor(v)}' },
    { stringValue: '${id}' },
    { booleanValue: 'true' },
  ].map(
    (value) =>
      ['iotsitewise', 'BatchPutAssetPropertyValue', siteWise(value), two, noErrors] as const,
  ),
  [
    'location',
    'BatchUpdateDevicePosition',
    definitionOf('location', {
      trackerName: 'fleet.a-b_c',
      deviceId: '${id}',
      latitude: '${v}',
      longitude: '-${v}',
      timestamp: { value: '1700000000', unit: 'SECONDS' },
    }),
    two,
    noErrors,
  ],
  ['lambda', 'Invoke', lambda(`${functionArn}:live`), two.slice(0, 1), { status: 202 }],
  [
    'iotevents-data',
    'BatchPutMessage',
    definitionOf('iotEvents', { inputName: 'input', messageId: '${id}' }),
    two.slice(0, 1),
    { body: { BatchPutMessageErrorEntries: [] } },
  ],
  [
    'iotanalytics',
    'BatchPutMessage',
    definitionOf('iotAnalytics', { channelName: 'channel', batchMode: true }),
    [{ output: '[{"t":1},{"t":2}]' }],
    { body: { batchPutMessageErrorEntries: [] } },
  ],
]

describe.skipIf('reason' in python)(`botocore${why}`, { timeout: 120_000 }, () => {
  test('the requests are those of its models', async () => {
    const requests: Checked[] = []
    for (const [service, operation, definition, messages, answer] of cases) {
      const sent = await requestOf(definition, messages, answer)
      requests.push({ service, operation, sent })
    }
    expect(await problemsOf(requests)).toEqual(requests.map(() => []))
  })

  test('a request that is not is found', async () => {
    const [[service, operation, definition, messages, answer] = []] = cases
    if (!service || !operation || !definition || !messages || !answer) throw new Error('no case')
    const sent = await requestOf(definition, messages, answer)
    const changed = (body: object) => ({ ...sent, bytes: Buffer.from(JSON.stringify(body)) })
    const found = await problemsOf(
      [
        changed({ entries: [{ entryId: 1, propertyValues: [] }] }),
        changed({ entries: [], more: 1 }),
        changed({}),
        { ...sent, line: 'POST /elsewhere' },
      ].map((each) => ({ service, operation, sent: each })),
    )
    expect(found.map(([problem = '']) => problem)).toEqual([
      expect.stringContaining('Invalid type for parameter entries[0].entryId'),
      expect.stringContaining('body.more is not a member of'),
      expect.stringContaining('Missing required parameter in input: "entries"'),
      expect.stringContaining('POST /elsewhere is not'),
    ])
  })
})

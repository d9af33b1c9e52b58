/** Each rule that people wrote leaves a trace of each of its actions in the lab. */
import { readFileSync } from 'node:fs'
import path from 'node:path'
import { connectAsync } from 'mqtt'
import type { MqttClient } from 'mqtt'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { startSluice, temporaryFolder } from '../helpers/sluice-process.ts'
import type { SluiceProcess } from '../helpers/sluice-process.ts'

interface RuleOfPeople {
  readonly id: string
  readonly ruleName: string
  readonly payload: { readonly actions: readonly object[] }
  readonly message: {
    readonly topic: string
    readonly payload?: unknown
    readonly payloadBase64?: string
  }
  readonly seen?: { readonly matched: boolean }
}

interface RecordedCall {
  readonly ruleName: string
  readonly actionIndex: number
  readonly kind: string
}

const file = path.resolve(import.meta.dirname, '../conformance/rules.json')
const rules = (JSON.parse(readFileSync(file, 'utf8')) as readonly RuleOfPeople[]).filter(
  ({ ruleName }) => !ruleName.includes('-'),
)

let folder: Awaited<ReturnType<typeof temporaryFolder>>
let sluice: SluiceProcess
let http: string
let client: MqttClient

beforeAll(async () => {
  folder = await temporaryFolder()
  sluice = startSluice(['lab'], {
    SLUICE_DATA_DIR: path.join(folder.path, 'data'),
    SLUICE_RULES_DIR: path.join(folder.path, 'rules'),
  })
  const ports = (await sluice.ready()) as unknown as Record<string, number>
  http = `http://127.0.0.1:${ports['http']}`
  client = await connectAsync(`mqtt://127.0.0.1:${ports['mqtt']}`, { clientId: 'dev-1' })
})

afterAll(async () => {
  await client.endAsync()
  sluice.kill('SIGKILL')
  await sluice.ended
  await folder.remove()
})

const kindOf = (action: object) => Object.keys(action)[0] ?? ''
const isRecorded = (action: object) => !['kinesis', 'republish'].includes(kindOf(action))

/** The calls that a rule's message must leave: those of its actions for services. */
function wantedCalls({ ruleName, payload, seen, message }: RuleOfPeople): string[] {
  if (seen?.matched !== true || message.topic.startsWith('$')) return []
  return payload.actions.flatMap((action, index) =>
    isRecorded(action) ? [`${ruleName} ${index} ${kindOf(action)}`] : [],
  )
}

/** Rules whose value is no number, and whose secret is not there. */
const failing = new Set(['r129', 'r141'])

test('every rule is created, and its calls are recorded', { timeout: 60_000 }, async () => {
  for (const { ruleName, payload } of rules) {
    const answer = await fetch(`${http}/rules/${ruleName}`, {
      method: 'POST',
      body: JSON.stringify(payload),
    })
    expect([ruleName, answer.status, await answer.text()]).toEqual([ruleName, 200, ''])
  }
  const wanted = rules.filter(({ id }) => !failing.has(id)).flatMap(wantedCalls)
  expect(wanted.length).toBeGreaterThan(25)
  for (const { message } of rules) {
    const { topic, payload, payloadBase64 } = message
    if (topic.startsWith('$')) continue
    const bytes =
      payloadBase64 === undefined ? JSON.stringify(payload) : Buffer.from(payloadBase64, 'base64')
    await client.publishAsync(topic, bytes, { qos: 1 })
  }
  await expect.poll(recorded, { timeout: 20_000 }).toEqual(expect.arrayContaining(wanted))
})

async function recorded(): Promise<string[]> {
  const answer = await fetch(`${http}/v1/lab/calls?maxResults=1000`)
  const { calls } = (await answer.json()) as { readonly calls: readonly RecordedCall[] }
  return calls.map(({ ruleName, actionIndex, kind }) => `${ruleName} ${actionIndex} ${kind}`)
}

test('a call is that of AWS IoT, and the log says where to see it', async () => {
  const body = {
    sql: "SELECT v FROM 'one/call'",
    actions: [
      {
        sqs: {
          roleArn: 'arn:aws:iam::123456789012:role/r',
          queueUrl: 'https://sqs.us-east-1.amazonaws.com/123456789012/q',
        },
      },
    ],
  }
  await fetch(`${http}/rules/one_call`, { method: 'POST', body: JSON.stringify(body) })
  await client.publishAsync('one/call', '{"v":1.50}', { qos: 1 })
  const line = await sluice.logged((each) => each['rule'] === 'one_call' && each['kind'] === 'sqs')
  expect(line['msg']).toContain('GET /v1/lab/calls')
  const answer = await fetch(`${http}/v1/lab/calls?ruleName=one_call&kind=sqs`)
  expect(await answer.json()).toEqual({
    calls: [
      {
        at: expect.stringMatching(/^\d{4}-\d\d-\d\dT[\d:.]+Z$/) as string,
        ruleName: 'one_call',
        actionIndex: 0,
        kind: 'sqs',
        operation: 'SendMessage',
        parameters: {
          QueueUrl: 'https://sqs.us-east-1.amazonaws.com/123456789012/q',
          MessageBody: '{"v":1.50}',
        },
        topic: 'one/call',
        messageId: expect.stringMatching(/^[\da-f-]{36}$/) as string,
      },
    ],
    resumeToken: expect.stringMatching(/^\d+$/) as string,
  })
})

/**
 * Each rule that people wrote leaves a trace of each of its actions in the lab. What is on topics
 * of the service alone, which no client may publish to, is shown by `POST /v1/evaluate`.
 */
import { readFileSync } from 'node:fs'
import { mkdir, writeFile } from 'node:fs/promises'
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
}

interface RecordedCall {
  readonly ruleName: string
  readonly kind: string
}

interface DeadLetter {
  readonly ruleName: string
  readonly field?: string
}

interface Stats {
  readonly actions: Readonly<Record<string, { readonly delivered: number }>>
}

interface Evaluated {
  readonly matched: boolean
  readonly actions: readonly { readonly republish?: { readonly topic: string } }[]
  readonly errors: readonly { readonly where: string }[]
}

const file = path.resolve(import.meta.dirname, '../conformance/rules.json')
const rules = (JSON.parse(readFileSync(file, 'utf8')) as readonly RuleOfPeople[]).filter(
  ({ ruleName }) => !ruleName.includes('-'),
)
/**
 * Actions that fail: with a template for what the message does not have, a text that is no number,
 * and a message that SNS does not take as JSON.
 */
const failing = new Map([
  ['r003', ['actions[1].dynamoDB.rangeKeyValue']],
  ['r079', ['actions[0].dynamoDB.rangeKeyValue', 'actions[1].sns.messageFormat']],
  ['r087', ['actions[0].dynamoDB.hashKeyValue']],
  [
    'r129',
    ['actions[0].iotSiteWise.putAssetPropertyValueEntries[0].propertyValues[0].value.doubleValue'],
  ],
])

/** It compares texts by `<`, which the guide makes Undefined. */
const unmatched = 'r085'

/** What the external functions of the rules ask for. */
const stubs = {
  'functions/cls.mjs': `export const handler = () => ({ body: { predicted_label: 'true' } })`,
  'functions/dec.mjs': 'export const handler = (event) => event',
  'functions/lora.mjs': 'export const handler = ({ PayloadData }) => ({ raw: PayloadData })',
  'functions/conv.mjs': `export const handler = (text) => [...Buffer.from(text, 'base64')]`,
  'stubs/registry/DescribeThing/t1.json': '{"thingName":"t1","attributes":{}}',
  'stubs/secrets/AmazonMSK_x.json': '{"username":"u","password":"p"}',
}

let folder: Awaited<ReturnType<typeof temporaryFolder>>
let sluice: SluiceProcess
let http: string
let client: MqttClient
const received = new Set<string>()
const refused: string[] = []

beforeAll(async () => {
  folder = await temporaryFolder()
  for (const [name, text] of Object.entries(stubs)) {
    await mkdir(path.dirname(path.join(folder.path, name)), { recursive: true })
    await writeFile(path.join(folder.path, name), text)
  }
  sluice = startSluice(['lab'], {
    SLUICE_DATA_DIR: path.join(folder.path, 'data'),
    SLUICE_RULES_DIR: path.join(folder.path, 'rules'),
    SLUICE_FUNCTIONS_DIR: path.join(folder.path, 'functions'),
    SLUICE_STUBS_DIR: path.join(folder.path, 'stubs'),
  })
  const ports = (await sluice.ready()) as unknown as Record<string, number>
  http = `http://127.0.0.1:${ports['http']}`
  client = await connectAsync(`mqtt://127.0.0.1:${ports['mqtt']}`, { clientId: 'dev-1' })
  client.on('message', (topic) => received.add(topic))
  await client.subscribeAsync(['#', '$aws/#'], { qos: 1 })
  for (const { ruleName, payload } of rules) {
    const answer = await fetch(`${http}/rules/${ruleName}`, {
      method: 'POST',
      body: JSON.stringify(payload),
    })
    if (!answer.ok) refused.push(`${ruleName}: ${await answer.text()}`)
  }
}, 60_000)

afterAll(async () => {
  await client.endAsync()
  sluice.kill('SIGKILL')
  await sluice.ended
  await folder.remove()
})

const kindOf = (action: object) => Object.keys(action)[0] ?? ''
/** The kinds of the actions that do not fail. */
const workingKinds = ({ id, payload }: RuleOfPeople) =>
  payload.actions.flatMap((action, index) =>
    failing.get(id)?.some((field) => field.startsWith(`actions[${index}]`)) ? [] : [kindOf(action)],
  )
const mayPublish = ({ message: { topic } }: RuleOfPeople) =>
  !topic.startsWith('$') || topic.startsWith('$aws/rules/')

async function evaluated({ ruleName, message }: RuleOfPeople): Promise<Evaluated> {
  const body = JSON.stringify({ ruleName, message: { clientId: 'dev-1', ...message } })
  const answer = await fetch(`${http}/v1/evaluate`, { method: 'POST', body })
  return (await answer.json()) as Evaluated
}

test('each rule is created, and all but one match and show their actions', async () => {
  expect(refused).toEqual([])
  // 16 answers and events of the service, and a request to a shadow.
  expect(rules.filter((rule) => !mayPublish(rule))).toHaveLength(17)
  for (const rule of rules) {
    const { matched, actions, errors } = await evaluated(rule)
    const isMatched = rule.id !== unmatched
    const failed = failing.get(rule.id) ?? []
    expect({
      id: rule.id,
      matched,
      actions: actions.map(kindOf),
      failed: errors.map(({ where }) => where),
    }).toEqual({
      id: rule.id,
      matched: isMatched,
      actions: isMatched ? workingKinds(rule) : [],
      failed,
    })
  }
})

test('each message that a client may publish leaves a trace of every action', async () => {
  const published = rules.filter(mayPublish)
  const wanted: string[] = []
  for (const rule of published) {
    const { topic, payload, payloadBase64 } = rule.message
    const bytes =
      payloadBase64 === undefined ? JSON.stringify(payload) : Buffer.from(payloadBase64, 'base64')
    await client.publishAsync(topic, bytes, { qos: 1 })
    const { actions, errors } = await evaluated(rule)
    for (const { republish } of actions) if (republish) wanted.push(`to ${republish.topic}`)
    wanted.push(...errors.map(({ where }) => `${rule.ruleName} ${where}`))
    for (const kind of workingKinds(rule)) {
      if (kind !== 'republish') wanted.push(`${rule.ruleName} ${kind}`)
    }
  }
  expect(wanted.length).toBeGreaterThan(55)
  const missing = async () => {
    const found = new Set(await traces(published))
    return wanted.filter((each) => !found.has(each))
  }
  await expect.poll(missing, { timeout: 20_000 }).toEqual([])
}, 60_000)

/**
 * Calls that were recorded, records that a stream has taken, topics that subscribers got, and dead
 * letters of actions that failed.
 */
async function traces(published: readonly RuleOfPeople[]): Promise<readonly string[]> {
  const { calls } = await get<{ calls: readonly RecordedCall[] }>('lab/calls?maxResults=1000')
  const { deadLetters } = await get<{ deadLetters: readonly DeadLetter[] }>(
    'dead-letters?maxResults=250',
  )
  const inStreams = await Promise.all(
    published.map(async ({ ruleName, payload }) => {
      const { actions } = await get<Stats>(`rules/${ruleName}/stats`)
      const hasDelivered = payload.actions.some(
        (action, index) => 'kinesis' in action && (actions[index]?.delivered ?? 0) > 0,
      )
      return hasDelivered ? [`${ruleName} kinesis`] : []
    }),
  )
  return [
    ...calls.map(({ ruleName, kind }) => `${ruleName} ${kind}`),
    ...inStreams.flat(),
    ...Array.from(received, (topic) => `to ${topic}`),
    ...deadLetters.map(({ ruleName, field }) => `${ruleName} ${field}`),
  ]
}

async function get<Answer>(place: string): Promise<Answer> {
  return (await (await fetch(`${http}/v1/${place}`)).json()) as Answer
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

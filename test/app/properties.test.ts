import { EventEmitter, once } from 'node:events'
import { PublishCommand, UpdateThingShadowCommand } from '@aws-sdk/client-iot-data-plane'
import { connectAsync } from 'mqtt'
import type { IClientOptions, IPublishPacket, MqttClient } from 'mqtt'
import { beforeAll, describe, expect, test } from 'vitest'
import { startLab } from './lab-fixtures.ts'
import type { Lab } from './lab-fixtures.ts'

/** Properties of MQTT 5 on each way that a message can take. */
const properties = {
  payloadFormatIndicator: true,
  contentType: 'text/x',
  responseTopic: 'answers',
  correlationData: Buffer.from([0, 255]),
  userProperties: { a: '1', é: 'ü' },
}
const select = [
  "get_mqtt_property('format_indicator') AS format",
  "get_mqtt_property('content_type') AS type",
  "get_mqtt_property('response_topic') AS answers",
  "get_mqtt_property('correlation_data') AS data",
  'get_user_properties() AS user',
].join(', ')
const read = {
  format: 'UTF8_DATA',
  type: 'text/x',
  answers: 'answers',
  data: 'AP8=',
  user: [{ a: '1' }, { é: 'ü' }],
}
const nothingRead = { format: 'UNSPECIFIED_BYTES', user: [] }
const shown = {
  payloadFormatIndicator: 1,
  contentType: 'text/x',
  responseTopic: 'answers',
  correlationDataBase64: 'AP8=',
  userProperties: [
    ['a', '1'],
    ['é', 'ü'],
  ],
}

/** Templates that make the properties anew from those of the message. */
const headers = {
  payloadFormatIndicator: "${get_mqtt_property('format_indicator')}",
  contentType: "${get_mqtt_property('content_type')}",
  responseTopic: "${get_mqtt_property('response_topic')}",
  correlationData: "${get_mqtt_property('correlation_data')}",
  userProperties: ['a', 'é'].map((key) => {
    return { key, value: `\${get(get_user_properties('${key}'), 0)}` }
  }),
}
const roleArn = 'arn:aws:iam::000000000000:role/r'
const republish = (topic: string, members: object = { headers }) => ({
  republish: { roleArn, topic, ...members },
})
const kinesis = (streamName: string) => ({
  kinesis: { roleArn, streamName, partitionKey: 'k' },
})
const failing = kinesis('${nothing}')
const refused = kinesis('refused')
const shadow = '$aws/things/other/shadow'

const rules: Readonly<Record<string, object>> = {
  seen: { sql: `SELECT ${select} FROM 'path/#'`, actions: [republish('seen/${topic()}')] },
  first: { sql: "SELECT * FROM 'chain'", actions: [republish('chain/again')] },
  second: { sql: "SELECT * FROM 'chain/again'", actions: [republish('path/chain')] },
  bare: { sql: "SELECT * FROM 'bare'", actions: [republish('path/bare', {})] },
  external: {
    sql: `SELECT get_thing_shadow('lamp', '${roleArn}') AS s FROM 'external'`,
    actions: [republish('path/external')],
  },
  shadow: { sql: `SELECT ${select} FROM '${shadow}/update'`, actions: [republish('seen/shadow')] },
  accepted: {
    sql: `SELECT ${select} FROM '${shadow}/update/accepted'`,
    actions: [republish('seen/accepted', {})],
  },
  presence: {
    sql: `SELECT ${select} FROM '$aws/events/presence/connected/#'`,
    actions: [republish('seen/presence', {})],
  },
  now: { sql: "SELECT * FROM 'now'", actions: [failing], errorAction: republish('seen/now') },
  later: { sql: "SELECT * FROM 'later'", actions: [refused], errorAction: republish('seen/later') },
  // Records of one message of some KB share it on disk.
  wide: {
    sql: "SELECT * FROM 'wide'",
    actions: [refused, refused],
    errorAction: republish('seen/wide'),
  },
  letters: { sql: "SELECT * FROM 'letter'", actions: [refused, refused] },
  failed: { sql: "SELECT * FROM 'failed'", actions: [failing] },
}

async function put(lab: Lab, name: string, rule: object, method = 'POST'): Promise<void> {
  const body = JSON.stringify({ awsIotSqlVersion: '2016-03-23', ...rule })
  const answer = await fetch(`${lab.url}/rules/${name}`, { method, body })
  expect(answer.status).toBe(200)
}

/** A client that keeps what it gets by topic, until it is asked for. */
async function connect({ mqttUrl }: Lab, options: IClientOptions, filters: readonly string[] = []) {
  const client = await connectAsync(mqttUrl, { protocolVersion: 5, reconnectPeriod: 0, ...options })
  client.on('error', () => undefined)
  const got = new Map<string, IPublishPacket[]>()
  const arrived = new EventEmitter()
  client.on('message', (topic, _, packet) => {
    got.set(topic, [...(got.get(topic) ?? []), packet])
    arrived.emit('message')
  })
  if (filters.length > 0) await client.subscribeAsync([...filters], { qos: 1 })
  const next = async (topic: string): Promise<IPublishPacket> => {
    for (;;) {
      const packet = got.get(topic)?.shift()
      if (packet !== undefined) return packet
      await once(arrived, 'message')
    }
  }
  return { client, next }
}

const jsonOf = ({ payload }: IPublishPacket): unknown => JSON.parse(payload.toString())
const publish = (client: MqttClient, topic: string, payload = '{}', retain = false) =>
  client.publishAsync(topic, payload, { qos: 1, retain, properties })

interface Letters {
  readonly deadLetters: readonly { readonly origin: { readonly mqtt5?: unknown } }[]
}

/** The properties of so many dead letters. */
async function lettersOf(lab: Lab, count: number): Promise<readonly unknown[]> {
  for (;;) {
    const answer = await fetch(`${lab.url}/v1/dead-letters`)
    const { deadLetters } = (await answer.json()) as Letters
    if (deadLetters.length >= count) return deadLetters.map(({ origin }) => origin.mqtt5)
    await new Promise((resolve) => setTimeout(resolve, 10))
  }
}

async function refuseRecords({ kinesisUrl }: Lab): Promise<void> {
  const effect = { kind: 'error', code: 'InvalidArgumentException' }
  const body = JSON.stringify({ streamName: 'refused', operation: 'Put*', effect })
  expect((await fetch(`${kinesisUrl}/_faults`, { method: 'POST', body })).status).toBe(201)
}

describe('properties', () => {
  let lab: Lab
  let device: MqttClient
  let watcher: Awaited<ReturnType<typeof connect>>
  beforeAll(async () => {
    const endings: (() => void | Promise<void>)[] = []
    lab = await startLab((end) => void endings.unshift(end))
    await refuseRecords(lab)
    for (const [name, rule] of Object.entries(rules)) await put(lab, name, rule)
    watcher = await connect(lab, { clientId: 'watcher' }, ['seen/#', 'path/#'])
    device = (await connect(lab, { clientId: 'device' })).client
    return async () => {
      for (const end of endings) await end()
    }
  })

  test.each<[string, topic: string, () => unknown]>([
    ['a PUBLISH', 'path/device', () => publish(device, 'path/device')],
    ['a retained message', 'path/kept', () => publish(device, 'path/kept', '{}', true)],
    [
      'a will',
      'path/will',
      async () => {
        const will = { topic: 'path/will', payload: Buffer.from('{}'), properties }
        const { client } = await connect(lab, { clientId: 'dying', will })
        client.stream.destroy()
      },
    ],
    [
      'a publish over HTTP',
      'path/http',
      () =>
        lab.data.send(
          new PublishCommand({
            topic: 'path/http',
            qos: 1,
            payload: Buffer.from('{}'),
            payloadFormatIndicator: 'UTF8_DATA',
            contentType: 'text/x',
            responseTopic: 'answers',
            correlationData: 'AP8=',
            userProperties: '[{"a":"1"},{"é":"ü"}]',
          }),
        ),
    ],
    ['rules that republish to each other', 'path/chain', () => publish(device, 'chain')],
    [
      'a rule that waits for a function',
      'path/external',
      async () => {
        const payload = Buffer.from('{"state":{"reported":{}}}')
        await lab.data.send(new UpdateThingShadowCommand({ thingName: 'lamp', payload }))
        await publish(device, 'external')
      },
    ],
  ])('of %s reach a rule and come out of it', async (_, topic, act) => {
    await act()
    const packet = await watcher.next(`seen/${topic}`)
    expect(jsonOf(packet)).toEqual(read)
    expect(packet.properties).toEqual(properties)
    expect((await watcher.next(topic)).properties).toEqual(properties)
  })

  test('of Basic Ingest reach its rule', async () => {
    await publish(device, '$aws/rules/seen/path/basic')
    const packet = await watcher.next('seen/path/basic')
    expect(jsonOf(packet)).toEqual(read)
    expect(packet.properties).toEqual(properties)
  })

  test.each<[string, topic: string, payload: string]>([
    ['that fails at once', 'now', '{}'],
    ['whose record is given up later', 'later', '{}'],
    ['whose records share their message', 'wide', JSON.stringify({ text: 'x'.repeat(6_000) })],
  ])('reach the error action of a rule %s', async (_, topic, payload) => {
    await publish(device, topic, payload)
    const packet = await watcher.next(`seen/${topic}`)
    expect(jsonOf(packet)).toMatchObject({
      topic,
      base64OriginalPayload: Buffer.from(payload).toString('base64'),
    })
    expect(packet.properties).toEqual(properties)
  })

  test('of a request to a service reach rules; those that it answers with have none', async () => {
    await publish(device, `${shadow}/update`, '{"state":{"reported":{"a":1}}}')
    expect(jsonOf(await watcher.next('seen/shadow'))).toEqual(read)
    expect(jsonOf(await watcher.next('seen/accepted'))).toEqual(nothingRead)
    await connect(lab, { clientId: 'another' })
    expect(jsonOf(await watcher.next('seen/presence'))).toEqual(nothingRead)
  })

  test('are not passed on by an action without headers', async () => {
    await publish(device, 'bare')
    const packet = await watcher.next('seen/path/bare')
    expect(jsonOf(packet)).toEqual(nothingRead)
    expect((await watcher.next('path/bare')).properties?.userProperties).toBeUndefined()
  })

  test('are kept with a retained message, and stay away from clients of 3.1.1', async () => {
    await publish(device, 'retained', '{}', true)
    const late = await connect(lab, { clientId: 'late' }, ['retained'])
    expect((await late.next('retained')).properties).toEqual(properties)
    const old = await connect(lab, { clientId: 'old', protocolVersion: 4 }, ['retained'])
    expect((await old.next('retained')).properties).toBeUndefined()
  })

  test('are in dead letters, which are shown with them, and replayed with them', async () => {
    await publish(device, 'letter')
    await publish(device, 'letter', JSON.stringify({ text: 'x'.repeat(6_000) }))
    await publish(device, 'failed')
    const five = [shown, shown, shown, shown, shown]
    expect(await lettersOf(lab, 5)).toEqual(five)
    const after = await lab.restart()
    expect(await lettersOf(after, 5)).toEqual(five)
    for (const [name, topic] of [
      ['letters', 'letter'],
      ['failed', 'failed'],
    ] as const) {
      const sql = `SELECT ${select} FROM '${topic}'`
      await put(after, name, { sql, actions: [republish(topic), republish(topic)] }, 'PATCH')
    }
    const reader = await connect(after, { clientId: 'reader' }, ['letter', 'failed'])
    await fetch(`${after.url}/v1/dead-letters/replay`, { method: 'POST', body: '{}' })
    for (const topic of ['letter', 'letter', 'letter', 'letter', 'failed']) {
      const packet = await reader.next(topic)
      expect(jsonOf(packet)).toEqual(read)
      expect(packet.properties).toEqual(properties)
    }
  })
})

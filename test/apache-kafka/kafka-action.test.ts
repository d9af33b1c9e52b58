/** What the kafka action writes to a broker of Apache Kafka, as its own consumer reads it. */
import { mkdir, writeFile } from 'node:fs/promises'
import path from 'node:path'
import { Admin } from '@platformatic/kafka'
import { connectAsync } from 'mqtt'
import { afterAll, describe, expect, test } from 'vitest'
import type { CallOutcome } from '../../src/aws/call/call-outcome.ts'
import { systemClock } from '../../src/base/clock.ts'
import { createKafkaSenders } from '../../src/kafka/kafka-senders.ts'
import { deliveryDefaults } from '../../src/outbox/outbox.ts'
import type { QueuedRecord } from '../../src/outbox/outbox.ts'
import { startSluice, temporaryFolder } from '../helpers/sluice-process.ts'
import { startKafka, users } from './kafka-broker.ts'
import { storePassword } from './stores.ts'

const kafka = await startKafka()
const why = kafka.isRunning ? '' : ` cannot be had: ${kafka.reason}`
const { plaintext, ssl, saslSsl, saslPlaintext, stores } = kafka.isRunning
  ? kafka
  : { plaintext: '', ssl: '', saslSsl: '', saslPlaintext: '', stores: undefined }
const { keysPkcs12 = '', keysPem = '', trustPkcs12 = '', trustPem = '' } = stores?.client ?? {}
const { trustJks = '', otherTrust = '' } = stores?.client ?? {}

const senders = createKafkaSenders({
  clock: systemClock,
  readSecret: () => Promise.reject(new Error('no secrets here')),
})
afterAll(() => senders.close())

type Properties = Readonly<Record<string, string>>

interface Sent {
  readonly value: string
  readonly key?: string
  readonly partition?: number
  readonly headers?: readonly { readonly key: string; readonly value: string }[]
}

async function send(topic: string, properties: Properties, records: readonly Sent[]) {
  const sender = senders.senderFor({
    kind: 'kafka',
    target: topic,
    region: 'eu-west-1',
    credentials: { kind: 'process' },
    settings: deliveryDefaults,
    clientProperties: properties,
  })
  const queued = records.map(({ value, ...parameters }) => {
    const call = { operation: 'Produce', parameters, body: { member: 'value', as: 'bytes' } }
    return { call: JSON.stringify(call), data: Buffer.from(value) } as unknown as QueuedRecord
  })
  return sender.send(queued, new AbortController().signal)
}

function codesOf(outcome: CallOutcome): readonly string[] {
  if (!outcome.answered) return [outcome.failure.code]
  return outcome.records.map((record) => (record.ok ? 'ok' : record.failure.code))
}

const near: Properties = {
  'bootstrap.servers': plaintext,
  'security.protocol': 'PLAINTEXT',
  acks: 'all',
}

/** A topic that the brokers know, with its settings. */
async function makeTopic(name: string, settings: Properties) {
  const admin = new Admin({ clientId: 'test', bootstrapBrokers: [plaintext] })
  const configs = Object.entries(settings).map(([key, value]) => ({ name: key, value }))
  await admin.createTopics({ topics: [name], partitions: 1, replicas: 1, configs })
  await admin.close()
  // The leader is known before it takes records.
  await expect
    .poll(async () => codesOf(await send(name, near, [{ key: 'first', value: 'first' }])))
    .toEqual(['ok'])
}

const printed = (topic: string) => (kafka.isRunning ? kafka.printed(topic) : Promise.resolve([]))

describe.skipIf(!kafka.isRunning)(`Apache Kafka${why}`, () => {
  test('reads keys, partitions, headers and values of every compression', async () => {
    const compressions = ['none', 'gzip', 'snappy', 'lz4', 'zstd']
    const lines: string[] = []
    // The topic is made on demand, and its leader may be known later.
    await expect
      .poll(async () => codesOf(await send('written', near, [{ partition: 0, value: 'first' }])))
      .toEqual(['ok'])
    for (const compression of compressions) {
      const value = `${compression} ${'x'.repeat(200)}`
      const outcome = await send('written', { ...near, 'compression.type': compression }, [
        { key: 'k1', value },
        { partition: 1, value, headers: ['1', '2'].map((each) => ({ key: 'h', value: each })) },
        { partition: 7, value },
      ])
      expect(codesOf(outcome)).toEqual(['ok', 'ok', 'PartitionMissing'])
      lines.push(`Partition:2\tNO_HEADERS\tk1\t${value}`, `Partition:1\th:1,h:2\tnull\t${value}`)
    }
    const read = await printed('written')
    expect(read.filter((line) => !line.endsWith('first')).toSorted()).toEqual(lines.toSorted())
  })

  const keyStores: [string, Properties][] = [
    ['PKCS#12', { 'ssl.keystore': keysPkcs12, 'ssl.keystore.password': storePassword }],
    ['PEM', { 'ssl.keystore': keysPem, 'ssl.key.password': storePassword }],
  ]
  const trustStores: [string, Properties][] = [
    ['PKCS#12', { 'ssl.truststore': trustPkcs12, 'ssl.truststore.password': storePassword }],
    ['PEM', { 'ssl.truststore': trustPem }],
  ]
  const [[, keys = {}] = [], [, trust = {}] = []] = [keyStores[0], trustStores[0]]

  test.each(
    keyStores.flatMap(([keysName, each]) =>
      trustStores.map(
        ([trustName, other]) => [keysName, trustName, { ...each, ...other }] as const,
      ),
    ),
  )('takes a client with keys in %s and trust in %s', async (_keys, _trust, properties) => {
    const outcome = await send('written', { 'bootstrap.servers': ssl, ...properties }, [
      { value: 'first' },
    ])
    expect(codesOf(outcome)).toEqual(['ok'])
  })

  test.each([
    ['another trust store', { ...keys, ...trust, 'ssl.truststore': otherTrust }, 'TlsFailed'],
    ['no keys', trust, 'TlsFailed'],
    [
      'a wrong password of the keys',
      { ...keys, ...trust, 'ssl.keystore.password': 'wrong' },
      'ClientPropertyInvalid',
    ],
    [
      'a wrong password of the trust',
      { ...keys, ...trust, 'ssl.truststore.password': 'wrong' },
      'ClientPropertyInvalid',
    ],
    ['trust as JKS', { ...keys, ...trust, 'ssl.truststore': trustJks }, 'ClientPropertyInvalid'],
  ])('refuses a client with %s', async (_name, properties, code) => {
    const outcome = await send('written', { 'bootstrap.servers': ssl, ...properties }, [
      { value: 'never' },
    ])
    expect(codesOf(outcome)).toEqual([code])
  })

  const mechanisms = ['PLAIN', 'SCRAM-SHA-256', 'SCRAM-SHA-512']
  test.each(
    mechanisms.flatMap((mechanism) =>
      ['SASL_SSL', 'SASL_PLAINTEXT'].map((protocol) => [mechanism, protocol] as const),
    ),
  )('takes passwords by %s over %s', async (mechanism, protocol) => {
    const kind = mechanism === 'PLAIN' ? 'plain' : 'scram'
    const properties = (username: string, password: string) => ({
      'bootstrap.servers': protocol === 'SASL_SSL' ? saslSsl : saslPlaintext,
      'security.protocol': protocol,
      'sasl.mechanism': mechanism,
      'ssl.truststore': trustPem,
      [`sasl.${kind}.username`]: username,
      [`sasl.${kind}.password`]: password,
    })
    const codes = [
      await send('written', properties('device', users.device), [{ value: 'first' }]),
      await send('written', properties('device', 'wrong'), [{ value: 'never' }]),
      await send('written', properties('stranger', users.stranger), [{ value: 'never' }]),
    ].map(codesOf)
    const [denied] = codes.pop() ?? []
    expect(codes).toEqual([['ok'], ['SASL_AUTHENTICATION_FAILED']])
    expect(denied).toBe('TOPIC_AUTHORIZATION_FAILED')
  })

  test('gives up the record that is too large, and no other of its partition', async () => {
    await makeTopic('small', { 'max.message.bytes': '2000' })
    const values = ['1', '2', '3', '4', '5'].map((each) => each.repeat(each === '3' ? 5_000 : 900))
    const outcome = await send(
      'small',
      near,
      values.map((value) => ({ key: 'a', value })),
    )
    expect(codesOf(outcome)).toEqual(['ok', 'ok', 'MESSAGE_TOO_LARGE', 'ok', 'ok'])
    const read = (await printed('small')).map((line) => line.split('\t')[3]?.charAt(0))
    expect(read).toEqual(['f', '1', '2', '4', '5'])
  })

  test('gives up the record without a key that a compacted topic refuses', async () => {
    await makeTopic('compacted', { 'cleanup.policy': 'compact' })
    const records = [{ key: 'a', value: '1' }, { value: '2' }, { key: 'a', value: '3' }]
    expect(codesOf(await send('compacted', near, records))).toEqual(['ok', 'INVALID_RECORD', 'ok'])
  })

  test('refuses its own topics', async () => {
    const outcome = await send('__consumer_offsets', near, [{ key: 'k', value: 'v' }])
    expect(codesOf(outcome)).toEqual(['INVALID_TOPIC_EXCEPTION'])
  })

  test('loses nothing and mixes up nothing when it ends in the middle', async () => {
    const temporary = await temporaryFolder()
    const folder = temporary.path
    const rules = path.join(folder, 'rules')
    const secrets = path.join(folder, 'stubs', 'secrets')
    await mkdir(rules)
    await mkdir(secrets, { recursive: true })
    const user = { username: 'device', password: users.device }
    await writeFile(path.join(secrets, 'kafka.json'), JSON.stringify(user))
    await writeFile(path.join(rules, 'readings.json'), JSON.stringify(ruleFor('readings')))
    const sluice = startSluice(['lab'], {
      SLUICE_DATA_DIR: path.join(folder, 'data'),
      SLUICE_RULES_DIR: rules,
      SLUICE_STUBS_DIR: path.join(folder, 'stubs'),
    })
    const ports = (await sluice.ready()) as unknown as Record<string, number>
    const device = await connectAsync(`mqtt://127.0.0.1:${ports['mqtt']}`)
    const publish = async (from: number, to: number) => {
      for (let n = from; n < to; n++) {
        const topic = `dt/device-${n % 3}/data`
        await device.publishAsync(topic, JSON.stringify({ n }), { qos: 1 })
      }
    }
    await publish(0, 150)
    if (kafka.isRunning) await kafka.restart(() => publish(150, 250))
    await publish(250, 300)
    const stats = async () => {
      const url = `http://127.0.0.1:${ports['http']}/v1/rules/readings/stats`
      return (await fetch(url)).json()
    }
    await expect
      .poll(stats, { timeout: 60_000, interval: 500 })
      .toMatchObject({ actions: [{ accepted: 300, delivered: 300, queued: 0 }] })
    await device.endAsync()
    sluice.kill('SIGTERM')
    expect(await sluice.ended).toBe(0)
    await temporary.remove()

    const lines = await printed('readings')
    for (const name of ['device-0', 'device-1', 'device-2']) {
      const sent = Array.from({ length: 300 }, (_, n) => n).filter((n) => name.endsWith(`${n % 3}`))
      const read = lines.map((line) => line.split('\t')).filter(([, , key]) => key === name)
      // A batch may be there twice: what counts is where each record stands first.
      const first = [...new Set(read.map(([, , , value = '{}']) => JSON.parse(value) as unknown))]
      const numbers = [...new Set(first.map((each) => (each as { readonly n: number }).n))]
      expect(numbers).toEqual(sent)
      expect(new Set(read.map(([partition]) => partition)).size).toBe(1)
    }
    // The password is nowhere in the log.
    expect(JSON.stringify(sluice.logLines)).not.toContain(users.device)
  })
})

const secret = (key: string) =>
  `\${get_secret('kafka', 'SecretString', '${key}', 'arn:aws:iam::123456789012:role/secrets')}`

function ruleFor(topic: string) {
  return {
    sql: "SELECT * FROM 'dt/+/data'",
    awsIotSqlVersion: '2016-03-23',
    actions: [
      {
        kafka: {
          destinationArn: 'arn:aws:iot:eu-west-1:123456789012:ruledestination/vpc/x',
          topic,
          key: '${topic(2)}',
          clientProperties: {
            'bootstrap.servers': saslSsl,
            'security.protocol': 'SASL_SSL',
            'sasl.mechanism': 'SCRAM-SHA-512',
            'sasl.scram.username': secret('username'),
            'sasl.scram.password': secret('password'),
            'ssl.truststore': trustPkcs12,
            'ssl.truststore.password': storePassword,
            'compression.type': 'lz4',
            acks: 'all',
          },
        },
      },
    ],
  }
}

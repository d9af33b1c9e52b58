import { readFileSync } from 'node:fs'
import { Ajv } from 'ajv'
import { fullFormats } from 'ajv-formats/dist/formats.js'
import * as fc from 'fast-check'
import { expect, test } from 'vitest'
import { channelOfFilter, keyOf } from '../../../src/http/sluice/asyncapi-channels.ts'
import { asyncApiDocument } from '../../../src/http/sluice/asyncapi-document.ts'
import { findTopicFilterFault } from '../../../src/topics/topic-filter.ts'
import { send } from '../guarded-server.ts'
import { startServer } from '../http-fixtures.ts'
import { compile, openStore, payloadOf, roleArn } from '../../rules/rule-fixtures.ts'

const ajv = new Ajv({ strict: false, formats: fullFormats })
// Only this file: the index of the package reads the schemas of all versions.
const schemaFile = new URL(
  '../../../node_modules/@asyncapi/specs/schemas/3.0.0-without-$id.json',
  import.meta.url,
)
const validate = ajv.compile(JSON.parse(readFileSync(schemaFile, 'utf8')) as object)
const faultsOf = (document: unknown) => (validate(document) ? [] : validate.errors)

type Operation = Readonly<Record<'action' | 'description', string>> & {
  readonly channel: { readonly $ref: string }
}
interface Document {
  readonly servers: Readonly<Record<string, { readonly host: string }>>
  readonly channels: Readonly<
    Record<string, { readonly address: string; readonly parameters?: object }>
  >
  readonly operations: Readonly<Record<string, Operation>>
}

const kinesis = (streamName: string) => ({ kinesis: { roleArn, streamName, partitionKey: 'k' } })
const ruleOf = (name: string, payload: Parameters<typeof compile>[0]['payload']) =>
  compile({ name, payload, createdAt: 0, tags: {} })
const documentOf = (rules: readonly ReturnType<typeof compile>[]) =>
  asyncApiDocument({
    rules,
    readers: [],
    brokers: [],
    kinesisHostOf: () => 'kinesis',
    region: 'eu-central-1',
  }) as unknown as Document

const mapping = (FunctionName: string, stream: string, State = 'Enabled') => ({
  State,
  EventSourceArn: `arn:aws:kinesis:eu-central-1:123456789012:stream/${stream}`,
  FunctionArn: `arn:aws:lambda:eu-central-1:123456789012:function:${FunctionName}`,
})

test('rules, streams and mappings are channels and operations of a valid document', async () => {
  const store = await openStore()
  const rules = {
    b: payloadOf('dt/+/telemetry', { errorAction: kinesis('failed') }),
    a: payloadOf('dt/+/telemetry', { actions: [kinesis('telemetry'), kinesis('${topic(1)}')] }),
    off: payloadOf('off', { ruleDisabled: true }),
    ingest: payloadOf('unused', { sql: 'SELECT *', actions: [] }),
  }
  for (const [name, payload] of Object.entries(rules)) {
    await store.store.create(name, payload, {})
  }
  const { url } = await startServer({
    store,
    dependencies: (made) => ({
      eventSourceMappings: {
        ...made.eventSourceMappings,
        list: () => ({
          EventSourceMappings: [
            mapping('readings:live', 'telemetry'),
            mapping('other', 'not-of-a-rule'),
            mapping('off', 'telemetry', 'Disabled'),
          ],
        }),
      },
      reachableAt: () => ({
        brokers: [
          { protocol: 'mqtt', host: '0.0.0.0', port: 1883 },
          { protocol: 'mqtts', host: '::1', port: 8883 },
          { protocol: 'ws' },
        ],
        region: 'eu-central-1',
      }),
    }),
  })
  const answer = await fetch(`${url}/v1/asyncapi.json`)
  const document = (await answer.json()) as Document
  expect(answer.headers.get('content-type')).toMatch('application/json')
  expect(faultsOf(document)).toEqual([])
  expect(Object.entries(document.servers).map(([key, { host }]) => [key, host])).toEqual([
    ['mqtt', '127.0.0.1:1883'],
    ['mqtts', '[::1]:8883'],
    ['ws', new URL(url).host],
    ['kinesis.eu-central-1', 'kinesis.eu-central-1.amazonaws.com'],
  ])
  const addresses = Object.entries(document.channels).map(([key, { address, parameters = {} }]) => [
    key,
    address,
    Object.keys(parameters).join(),
  ])
  expect(addresses).toEqual([
    ['basicIngest', '$aws/rules/{ruleName}/{topic}', 'ruleName,topic'],
    ['kinesis.eu-central-1.failed', 'kinesis/failed/{shardId}', 'shardId'],
    ['kinesis.eu-central-1.not-of-a-rule', 'kinesis/not-of-a-rule/{shardId}', 'shardId'],
    ['kinesis.eu-central-1.telemetry', 'kinesis/telemetry/{shardId}', 'shardId'],
    ['kinesisByTemplate', 'kinesis/{streamName}/{shardId}', 'streamName,shardId'],
    ['mqtt.dt._any.telemetry', 'dt/{level2}/telemetry', 'level2'],
  ])
  expect(
    Object.entries(document.operations).map(([key, { description }]) => [key, description]),
  ).toEqual([
    ['receive.basicIngest', 'By every rule.'],
    ['receive.kinesis.eu-central-1.not-of-a-rule.other', 'By function other.'],
    ['receive.kinesis.eu-central-1.telemetry.readings_u3a_live', 'By function readings:live.'],
    ['receive.mqtt.dt._any.telemetry', 'By rule a, rule b.'],
    ['send.kinesis.eu-central-1.failed', 'By the error action of rule b.'],
    ['send.kinesis.eu-central-1.telemetry', 'By rule a, rule b.'],
    ['send.kinesisByTemplate', 'By rule a.'],
  ])
})

test('a Host that is no host is not in the document, and without rules it is valid', async () => {
  const { port } = await startServer({ options: { insecure: true } })
  const { body } = await send(port, { path: '/v1/asyncapi.json', headers: { host: '{x}' } })
  const document = JSON.parse(body) as Document
  expect(faultsOf(document)).toEqual([])
  expect(document).toMatchObject({
    servers: { mqtt: { host: 'localhost:1883' } },
    channels: {},
    operations: {},
  })
})

test.each([
  ['#', 'mqtt._all', '{rest}', ['rest']],
  ['+/+', 'mqtt._any._any', '{level1}/{level2}', ['level1', 'level2']],
  ['a/+/#', 'mqtt.a._any._all', 'a/{level2}/{rest}', ['level2', 'rest']],
  ['/a//b', 'mqtt..a..b', '/a//b', []],
  [
    '$aws/events/presence/#',
    'mqtt._u24_aws.events.presence._all',
    '$aws/events/presence/{rest}',
    ['rest'],
  ],
  ['a/{b}', 'mqtt.a._u7b_b_u7d_', 'a/{level2}', ['level2']],
  ['a?', 'mqtt.a_u3f_', '{level1}', ['level1']],
  ['_proto_', 'mqtt.__proto__', '_proto_', []],
  ['Küche 1', 'mqtt.K_ufc_che_u20_1', 'Küche 1', []],
])('%s is the channel %s at %s', (filter, key, address, parameters) => {
  const channel = channelOfFilter(filter)
  expect(channel).toMatchObject({ key, address })
  expect(Object.keys(channel.parameters)).toEqual(parameters)
})

const level = fc.oneof(
  fc.constantFrom('+', 'a', '', '_any', '_', '{a}', '}{', '$aws', '__proto__', '_ufc_'),
  fc.string({ unit: 'binary', maxLength: 8 }),
)
const filters = fc
  .tuple(fc.array(level, { minLength: 1, maxLength: 6 }), fc.boolean())
  .map(([levels, isOpen]) => [...levels, ...(isOpen ? ['#'] : [])].join('/'))
  .filter((filter) => findTopicFilterFault(filter) === undefined)

test('any filters are different channels of a valid document', () => {
  const [template] = [ruleOf('r', payloadOf())]
  fc.assert(
    fc.property(fc.uniqueArray(filters, { minLength: 1, maxLength: 20 }), (texts) => {
      const rules = texts.map((topicFilter, index) => ({
        ...template,
        name: `r${index}`,
        disabled: false,
        statement: { ...template.statement, topicFilter },
      }))
      const document = documentOf(rules)
      expect(faultsOf(JSON.parse(JSON.stringify(document)))).toEqual([])
      const ofTopics = Object.entries(document.channels).filter(([key]) => key.startsWith('mqtt'))
      expect(ofTopics).toHaveLength(texts.length)
      for (const [key, { address, parameters = {} }] of ofTopics) {
        expect(key).toMatch(/^[\w.-]{1,110}$/)
        const named = [...address.matchAll(/\{([^{}]*)\}/g)].map(([, name]) => name)
        expect(named).toEqual(Object.keys(parameters))
        expect(address.replaceAll(/\{\w+\}/g, '')).not.toMatch(/[{}?#]/)
      }
    }),
    { numRuns: 60 },
  )
})

test('texts that are long differ in their keys, whatever their beginnings', () => {
  const texts = ['a', 'b'].map((end) => 'é'.repeat(120) + end)
  expect(new Set(texts.map(keyOf)).size).toBe(2)
})

test('1,000 rules make an answer of bounded size, in any order of the same rules', () => {
  const rules = Array.from({ length: 1_000 }, (_, index) =>
    ruleOf(
      `r${index}_${'x'.repeat(100)}`,
      payloadOf(`${index}/${'é'.repeat(120)}/+`, { actions: [kinesis(`stream-${index}`)] }),
    ),
  )
  const text = JSON.stringify(documentOf(rules))
  expect(text.length).toBeLessThan(4_000_000)
  const { basicIngest: _, ...channels } = documentOf(rules.toReversed()).channels
  expect(JSON.stringify(documentOf(rules))).toContain(JSON.stringify(channels).slice(1, -1))
})

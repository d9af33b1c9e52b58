import { readFileSync, readdirSync } from 'node:fs'
import path from 'node:path'
import { Ajv } from 'ajv'
import type { ValidateFunction } from 'ajv'
import * as fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { createStubs } from '../../src/external/stubs.ts'
import { compilePolicy } from '../../src/identity/policies/policy.ts'
import { parsePolicyTargets } from '../../src/identity/policies/policy-targets.ts'
import { parsePayloadFile } from '../rules/payload-fixtures.ts'
import { parseMetadata } from '../../src/rules/rule-files.ts'
import { withoutSchemaLink } from '../../src/storage/schema-link.ts'
import { kinesis, republish, roleArn, ruleWith } from '../helpers/engine-parts.ts'

/** schemas/*.json, against the files of the repository and against the code that reads files. */
const root = path.resolve(import.meta.dirname, '../..')
const readJson = (file: string): unknown => JSON.parse(readFileSync(path.join(root, file), 'utf8'))
const schema = (name: string): ValidateFunction =>
  new Ajv({ strict: true, allErrors: true, strictTypes: false, strictRequired: false }).compile(
    readJson(`schemas/${name}.schema.json`) as object,
  )
const rule = schema('rule')
const ruleTest = schema('rule-test')
const ruleMeta = schema('rule-meta')
const policy = schema('policy')
const policyMeta = schema('policy-meta')

const faultsOf = (validate: ValidateFunction, json: unknown) =>
  validate(json) ? [] : (validate.errors ?? [])

describe('files are valid', () => {
  const sampleFiles = ['rules', 'samples/sam'].flatMap((folder) =>
    readdirSync(path.join(root, folder)).map((name) => `${folder}/${name}`),
  )
  const tests = sampleFiles.filter((name) => name.endsWith('.test.json'))
  const rules = sampleFiles.filter((name) => /^rules\/\w+\.json$/.test(name))
  const ofPeople = readJson('test/conformance/rules.json') as readonly Record<string, unknown>[]

  test.each(rules)('%s', (name) => {
    expect(faultsOf(rule, readJson(name))).toEqual([])
  })
  test.each(tests)('%s', (name) => {
    expect(faultsOf(ruleTest, readJson(name))).toEqual([])
  })
  test('all rules that people wrote, bare and wrapped', () => {
    expect(ofPeople.length).toBeGreaterThan(70)
    for (const { payload } of ofPeople) {
      expect(faultsOf(rule, payload)).toEqual([])
      expect(faultsOf(rule, { $schema: 'x', topicRulePayload: payload })).toEqual([])
    }
  })
  test('those that the documentation prints', () => {
    const blocks = jsonBlocks('docs/ACTIONS.md')
    const settings = blocks.filter((block) => isRecord(block) && 'defaults' in block)
    const tested = blocks.filter((block) => Array.isArray(block))
    expect([settings.length, tested.length]).toEqual([1, 1])
    for (const delivery of settings) expect(faultsOf(ruleMeta, { delivery })).toEqual([])
    for (const each of tested) expect(faultsOf(ruleTest, each)).toEqual([])
  })
})

function jsonBlocks(file: string): readonly unknown[] {
  const text = readFileSync(path.join(root, file), 'utf8')
  return [...text.matchAll(/```json\n(.*?)```/gs)].map(([, block = '']) => JSON.parse(block))
}

const isRecord = (value: unknown): value is Readonly<Record<string, unknown>> =>
  typeof value === 'object' && value !== null && !Array.isArray(value)

const sql = "SELECT * FROM 'a'"
const good = { sql, actions: [kinesis({ partitionKey: 'k' }), republish('b', { qos: 1 })] }
const table = { roleArn, tableName: 'readings', hashKeyField: 'id', hashKeyValue: '1' }

describe('the settings of editors', () => {
  const settings = readJson('.vscode/settings.json') as {
    'json.schemas': readonly { readonly fileMatch: readonly string[]; readonly url: string }[]
  }
  test.each([
    ['rules/hot_devices.json', 'rule'],
    ['rules/hot_devices.test.json', 'rule-test'],
    ['rules/hot_devices.meta.json', 'rule-meta'],
    ['policies/telemetry.json', 'policy'],
    ['policies/telemetry.meta.json', 'policy-meta'],
    ['stubs/dynamodb/devices.json', 'stub-table'],
    ['stubs/secrets/prod%2Fdb.json', 'stub-secret'],
    ['stubs/shadows/t.json', 'stub-shadow'],
    ['stubs/shadows/t/config.json', 'stub-shadow'],
    ['stubs/registry/DescribeThing/t.json', 'stub-thing'],
    ['stubs/registry/ListThingGroupsForThing/t.json', 'stub-thing-groups'],
  ])('map %s', (file, name) => {
    const matches = (glob: string) =>
      new RegExp(`^${glob.replaceAll('.', '\\.').replaceAll('*', '[^/]*')}$`).test(`/${file}`)
    const urls = settings['json.schemas'].flatMap(({ fileMatch, url }) =>
      fileMatch.some((glob) => matches(glob)) &&
      !fileMatch.some((glob) => glob.startsWith('!') && matches(glob.slice(1)))
        ? [url]
        : [],
    )
    expect(urls).toEqual([`./schemas/${name}.schema.json`])
  })

  test('are those of a project that has the package, as docs/EDITORS.md prints them', () => {
    const inPackage = JSON.stringify(settings).replaceAll('./schemas', packageSchemas)
    expect(jsonBlocks('docs/EDITORS.md')).toContainEqual(JSON.parse(inPackage))
  })

  test('are not needed where a file names its schema, as docs/EDITORS.md prints it', () => {
    const named = jsonBlocks('docs/EDITORS.md').filter(
      (block) => isRecord(block) && '$schema' in block,
    )
    expect(named).toMatchObject([{ $schema: `.${packageSchemas}/rule.schema.json` }])
    expect(faultsOf(rule, named[0])).toEqual([])
  })
})

const packageSchemas = './node_modules/sluice-iot/schemas'

describe('a rule that is refused is refused by the schema', () => {
  const withAction = (...actions: readonly unknown[]) => ({ ...good, actions })
  test.each<[string, unknown]>([
    ['no object', []],
    ['no statement', { actions: [] }],
    ['no actions', { sql }],
    ['a statement that is no text', { ...good, sql: 1 }],
    ['a member that is unknown', { ...good, Sql: sql }],
    ['eleven actions', withAction(...Array.from({ length: 11 }, () => kinesis()))],
    ['an action of no kind', withAction({})],
    ['an action of two kinds', withAction({ ...kinesis(), ...republish('b') })],
    ['an unknown kind', withAction({ kinesiss: {} })],
    ['a field that is missing', withAction({ kinesis: { roleArn } })],
    ['a field as the guide calls it', withAction(kinesis({ stream: 's' }))],
    ['a role that is no ARN', withAction({ kinesis: { roleArn: 'r', streamName: 's' } })],
    ['an unknown QoS', withAction(republish('b', { qos: 2 }))],
    ['too many headers', withAction(republish('b', { headers: { userProperties: [] } }))],
    ['an unknown version', { ...good, awsIotSqlVersion: '2017-01-01' }],
    ['a text for a Boolean', { ...good, ruleDisabled: 'false' }],
    ['a list of error actions', { ...good, errorAction: [kinesis()] }],
    ['a wrapped rule with a neighbour', { topicRulePayload: good, ruleName: 'r' }],
  ])('%s', (_name, json) => {
    expect(() => parsePayloadFile(Buffer.from(JSON.stringify(json)))).toThrow(/./)
    expect(faultsOf(rule, json)).not.toEqual([])
  })

  test.each<[string, string, object]>([
    ['a statement', 'SELEC', kinesis()],
    ['a template', sql, kinesis({ partitionKey: '${' })],
    ['a template in a field', sql, { dynamoDB: { ...table, operation: '${' } }],
    ['half a sort key', sql, { dynamoDB: { ...table, rangeKeyField: 'at' } }],
  ])('but not for what no schema can say: %s', (_name, statement, action) => {
    expect(() => ruleWith('r', statement, [action])).toThrow(/./)
    expect(faultsOf(rule, { sql: statement, actions: [action] })).toEqual([])
  })
})

describe('tests of a rule', () => {
  const it = { name: 'it', message: { topic: 'a', payload: null }, expect: { matched: true } }
  test.each<[string, unknown]>([
    ['no list', it],
    ['no name', [{ ...it, name: undefined }]],
    ['a payload and its bytes', [{ ...it, message: { ...it.message, payloadBase64: '' } }]],
    ['no payload', [{ ...it, message: { topic: 'a' } }]],
    ['an unknown expectation', [{ ...it, expect: { matched: true, record: [] } }]],
    ['a call of no kind', [{ ...it, expect: { matched: true, calls: [{}] } }]],
  ])('are refused: %s', (_name, json) => {
    expect(faultsOf(ruleTest, JSON.parse(JSON.stringify(json)))).not.toEqual([])
    expect(faultsOf(ruleTest, [it])).toEqual([])
  })
})

const bytes = (json: unknown) => Buffer.from(JSON.stringify(json))
const accepts = (read: () => unknown) => {
  try {
    read()
    return true
  } catch {
    return false
  }
}

describe('what the schema refuses is refused, and the other way round where it can be said', () => {
  const fullRule = {
    $schema: 'x',
    ...good,
    description: 'd',
    ruleDisabled: false,
    awsIotSqlVersion: '2016-03-23',
    errorAction: { dynamoDB: { ...table, payloadField: 'p' } },
  }
  const delivery = {
    defaults: { ordering: 'strict', retry: { maxAgeMs: 1 }, batching: { count: 5 } },
    actions: { 0: { region: 'eu-west-1', externalId: 'ab' }, errorAction: { streamArn: 's' } },
  }
  const statement = { Sid: 's', Effect: 'Allow', Action: ['iot:Publish'], Resource: '*' }
  const fullPolicy = { Version: '2012-10-17', Id: 'i', Statement: [statement, statement] }
  const targets = ['all', 'user:u', `cert:${'ab'.repeat(32)}`]

  test.each<[string, ValidateFunction, object, (json: unknown) => unknown, 'same' | 'laxer']>([
    ['a rule', rule, fullRule, (json) => parsePayloadFile(bytes(json)), 'same'],
    [
      'a wrapped rule',
      rule,
      { topicRulePayload: good },
      (json) => parsePayloadFile(bytes(json)),
      'same',
    ],
    [
      'metadata',
      ruleMeta,
      { createdAt: 1, tags: { a: 'b' }, delivery },
      (json) => parseMetadata(bytes(json)),
      'same',
    ],
    // It cannot tell which resources and actions there are.
    ['a policy', policy, fullPolicy, (json) => compilePolicy(withoutSchemaLink(json)), 'laxer'],
    [
      'targets',
      policyMeta,
      { targets },
      (json) => parsePolicyTargets(JSON.stringify(json)),
      'same',
    ],
  ])('%s', (_name, validate, document, read, relation) => {
    expect([accepts(() => read(document)), faultsOf(validate, document)]).toEqual([true, []])
    fc.assert(
      fc.property(changed(document), (json) => {
        const isRead = accepts(() => read(json))
        const isValid = validate(json)
        // A laxer schema takes all that is read, and more.
        const expected = relation === 'same' ? isRead : isRead || isValid
        expect({ isValid, json }).toEqual({ isValid: expected, json })
      }),
      { numRuns: 500 },
    )
  })
})

const stubsOf = (json: unknown) => {
  const read = () => Promise.resolve(bytes(json))
  return createStubs({ fileOf: () => ({ file: 'f', read }) })
}

const key = { name: 'id', type: 'S', text: 'd7' } as const
const items = (json: unknown) =>
  stubsOf(json).item({
    function: 'get_dynamodb',
    tableName: 't',
    partitionKey: key,
    roleArn,
  })
const secret = (json: unknown) =>
  stubsOf(json).secret({
    function: 'get_secret',
    secretId: 's',
    secretType: 'SecretString',
    roleArn,
  })
const shadow = (json: unknown) =>
  stubsOf(json).shadow({ function: 'get_thing_shadow', thingName: 't', roleArn })
const registry = (operation: 'DescribeThing' | 'ListThingGroupsForThing') => (json: unknown) =>
  stubsOf(json).registryAnswer({
    function: 'get_registry_data',
    operation,
    thingName: 't',
    roleArn,
  })

describe('stubs', () => {
  test.each<[string, (json: unknown) => Promise<unknown>, readonly unknown[], readonly unknown[]]>([
    ['stub-table', items, [[], [{ id: 'd7' }]], [{}, 'd7', ['d7']]],
    ['stub-secret', secret, [{ k: 'v' }, 't'], [[], 17, true]],
    ['stub-shadow', shadow, [{ $schema: 'x', state: {} }], [[], 't']],
    ['stub-thing', registry('DescribeThing'), [{ $schema: 'x', version: 1 }], [[], 't']],
    ['stub-thing-groups', registry('ListThingGroupsForThing'), [{ thingGroups: [] }], [[]]],
  ])('%s', async (name, read, taken, refused) => {
    const validate = schema(name)
    for (const json of [
      ...taken,
      ...((validate.schema as { examples: unknown[] }).examples ?? []),
    ]) {
      expect(faultsOf(validate, json)).toEqual([])
      await expect(read(json)).resolves.not.toBe('')
    }
    for (const json of refused) {
      expect(faultsOf(validate, json)).not.toEqual([])
      await expect(read(json)).rejects.toThrow(/^f(?: is n|: item 0 has no)/)
    }
  })

  test('do not pass on the link to their schema', async () => {
    expect(await shadow({ $schema: 'x', state: 1 })).toEqual(await shadow({ state: 1 }))
  })
})

/** The document with one to three of its parts removed, renamed or replaced. */
function changed(document: object): fc.Arbitrary<unknown> {
  const value = fc.constantFrom<unknown>(0, 1, -1, 1.5, '', 'x', true, [], ['x'], {}, { x: 'y' })
  const change = fc.record({
    at: fc.nat(),
    how: fc.constantFrom('remove', 'rename', 'replace', 'add' as const),
    value,
  })
  return fc.array(change, { minLength: 1, maxLength: 3 }).map((changes) => {
    const copy = JSON.parse(JSON.stringify(document)) as Parent
    for (const { at, how, value: given } of changes) {
      const put: unknown = structuredClone(given)
      const places = placesIn(copy)
      const [parent, name] = places[at % Math.max(1, places.length)] ?? [copy, 'x']
      if (how === 'replace') parent[name] = put
      else if (how === 'add') parent[`${name}x`] = put
      else if (Array.isArray(parent)) parent.splice(Number(name), 1)
      else {
        if (how === 'rename') parent[`${name}s`] = parent[name]
        delete parent[name]
      }
    }
    return copy
  })
}

type Parent = Record<string, unknown>

function placesIn(value: unknown): readonly (readonly [Parent, string])[] {
  if (typeof value !== 'object' || value === null) return []
  const parent = value as Parent
  return Object.keys(parent).flatMap((name) => [[parent, name] as const, ...placesIn(parent[name])])
}

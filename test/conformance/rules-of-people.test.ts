/** Rules that people wrote for AWS IoT, which must be created and do here what they do there. */
import { existsSync, readFileSync } from 'node:fs'
import path from 'node:path'
import { expect, test } from 'vitest'
import { compileActions } from '../../src/actions/compile-actions.ts'
import { evaluateRule } from '../../src/engine/evaluate-rule.ts'
import { createRuleCompiler } from '../../src/rules/compile-rule.ts'
import { parsePayload, ruleNamePattern } from '../../src/rules/payload.ts'
import { compileStatement } from '../../src/sql/sql.ts'
import { readJson } from '../../src/sql/values/json-reader.ts'
import { isArray, isNumber, isObject, memberOf } from '../../src/sql/values/values.ts'
import type { SqlArray, Value } from '../../src/sql/values/values.ts'
import { messageWith, testEnvironment } from '../helpers/messages.ts'

interface RuleOfPeople {
  readonly id: string
  readonly ruleName: string
  readonly payload: unknown
  readonly message: {
    readonly topic: string
    readonly payload?: unknown
    readonly payloadBase64?: string
  }
  readonly seen?: { readonly matched: boolean; readonly outputBase64?: string }
}

const file = path.join(import.meta.dirname, 'rules.json')
const text = readFileSync(file, 'utf8')
const rules = JSON.parse(text) as readonly RuleOfPeople[]
/** The same with numbers as they are written. */
const values = readJson(text) as SqlArray
const created = rules.filter(({ ruleName }) => new RegExp(ruleNamePattern).test(ruleName))

const compile = createRuleCompiler(
  { compileStatement, compileActions },
  { region: 'us-east-1', accountId: '123456789012' },
)

const compiledRule = ({ ruleName, payload }: RuleOfPeople) =>
  compile({ name: ruleName, payload: parsePayload(payload), createdAt: 0, tags: {} })

function messageOf(rule: RuleOfPeople) {
  const { topic, payloadBase64 } = rule.message
  const payload = memberOf(memberOf(values[rules.indexOf(rule)], 'message'), 'payload')
  return messageWith({
    topic,
    payload:
      payloadBase64 === undefined
        ? Buffer.from(spacedJson(payload))
        : Buffer.from(payloadBase64, 'base64'),
    clientId: 'dev-1',
    timestampMs: 1_700_000_000_123,
  })
}

/** JSON with a blank after each comma and colon, as the results were made. */
function spacedJson(value: Value): string {
  if (isArray(value)) return `[${value.map(spacedJson).join(', ')}]`
  if (isObject(value)) {
    const members = Array.from(value, ([name, member]) => `${ascii(name)}: ${spacedJson(member)}`)
    return `{${members.join(', ')}}`
  }
  return isNumber(value) ? (value.source ?? '') : ascii(value)
}

function ascii(value: unknown): string {
  return JSON.stringify(value).replaceAll(
    /[^ -~]/g,
    (character) => `\\u${character.charCodeAt(0).toString(16).padStart(4, '0')}`,
  )
}

test('all but the four whose names AWS refuses are there', () => {
  expect(rules).toHaveLength(75)
  expect(created).toHaveLength(71)
})

test.each(created.map((rule) => [rule.id, rule] as const))('%s can be created', (_id, rule) => {
  const { actions } = compiledRule(rule)
  expect(actions).toHaveLength(parsePayload(rule.payload).actions.length)
})

/** Where a rule fails on its message: a value that is no number, a secret that is not there. */
const failing = new Map([
  [
    'r129',
    ['actions[0].iotSiteWise.putAssetPropertyValueEntries[0].propertyValues[0].value.doubleValue'],
  ],
])

/** Their secrets are read when connections are made, so a message matches without them. */
const matchesWithoutSecret: ReadonlySet<string> = new Set(['r141'])

const withResult = rules.flatMap((rule) => (rule.seen ? [[rule.id, rule, rule.seen] as const] : []))

test.each(withResult)('%s gives what was seen', async (_id, rule, seen) => {
  const { matched, output, failures } = await evaluateRule(
    compiledRule(rule),
    messageOf(rule),
    testEnvironment,
    [],
  )
  const result = { matched, outputBase64: output?.toString('base64') }
  expect(result).toEqual(
    matchesWithoutSecret.has(rule.id) ? { ...result, matched: !seen.matched } : seen,
  )
  expect(failures.map(({ where }) => where)).toEqual(failing.get(rule.id) ?? [])
})

const shared = path.resolve(import.meta.dirname, '../../../shared/corpus/rules.json')

test.skipIf(!existsSync(shared))('the copy is the collection itself', () => {
  expect(readFileSync(file, 'utf8')).toBe(readFileSync(shared, 'utf8'))
})

import { readFileSync } from 'node:fs'
import * as fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { SluiceError } from '../../../src/base/errors.ts'
import { parseAccessKeys } from '../../../src/identity/access-keys/access-keys.ts'
import { compilePattern } from '../../../src/identity/policies/policy-pattern.ts'
import { combinePolicies, compilePolicy } from '../../../src/identity/policies/policy.ts'
import type { PolicyRequest } from '../../../src/identity/policies/policy.ts'
import { unknownAccount } from '../../../src/identity/policies/resource-arn.ts'

const arn = (resource: string) => `arn:aws:iot:us-east-1:123456789012:${resource}`
const allow = (action: unknown, resource: unknown) => ({
  Effect: 'Allow',
  Action: action,
  Resource: resource,
})
const deny = (action: unknown, resource: unknown) => ({
  ...allow(action, resource),
  Effect: 'Deny',
})
const policyOf = (...statements: unknown[]) => ({ Version: '2012-10-17', Statement: statements })
const publish = (topic: string, variables: PolicyRequest['variables'] = {}): PolicyRequest => ({
  action: 'iot:Publish',
  resource: arn(`topic/${topic}`),
  variables,
})

describe('what a policy decides', () => {
  const own = arn('topic/dt/${iot:ClientId}/*')
  const cases: [string, unknown[], PolicyRequest, string][] = [
    ['what nothing speaks of', [allow('iot:Connect', '*')], publish('a'), 'implicitDeny'],
    ['what is allowed', [allow('iot:Publish', '*')], publish('a'), 'allow'],
    ['a denial before', [deny('*', arn('topic/a')), allow('*', '*')], publish('a'), 'deny'],
    ['a denial after', [allow('*', '*'), deny('*', arn('topic/a'))], publish('a'), 'deny'],
    [
      'a denial of another topic',
      [allow('*', '*'), deny('*', arn('topic/a'))],
      publish('b'),
      'allow',
    ],
    ['an action in another case', [allow('IOT:pubLISH', '*')], publish('a'), 'allow'],
    ['an action by wildcards', [allow('iot:P?b*', '*')], publish('a'), 'allow'],
    ['a list of actions', [allow(['iot:Connect', 'iot:Publish'], '*')], publish('a'), 'allow'],
    ['another service', [allow('sluice:*', '*')], publish('a'), 'implicitDeny'],
    ['a resource in another case', [allow('*', arn('topic/A'))], publish('a'), 'implicitDeny'],
    ['a topic under a wildcard', [allow('*', arn('topic/a/*'))], publish('a/b/c'), 'allow'],
    ['its parent', [allow('*', arn('topic/a/*'))], publish('a'), 'implicitDeny'],
    ['a question mark', [allow('*', arn('topic/a?c'))], publish('abc'), 'allow'],
    ['a question mark for none', [allow('*', arn('topic/a?c'))], publish('ac'), 'implicitDeny'],
    ['a question mark for 𝒳', [allow('*', arn('topic/a?c'))], publish('a𝒳c'), 'allow'],
    [
      'a denial to a client whose name is a wildcard',
      [allow('*', '*'), deny('*', own)],
      publish('dt/+/x', { 'iot:ClientId': '+' }),
      'deny',
    ],
    [
      'such a denial, on another topic',
      [allow('*', '*'), deny('*', own)],
      publish('other/x', { 'iot:ClientId': 'a*' }),
      'allow',
    ],
    [
      'such a denial to a client without a name',
      [allow('*', '*'), deny('*', own)],
      publish('dt/a/x', {}),
      'allow',
    ],
    ['the own topic', [allow('*', own)], publish('dt/c1/x', { 'iot:ClientId': 'c1' }), 'allow'],
    ["another's", [allow('*', own)], publish('dt/c2/x', { 'iot:ClientId': 'c1' }), 'implicitDeny'],
    ['no client id', [allow('*', own)], publish('dt//x'), 'implicitDeny'],
    [
      'a client id *',
      [allow('*', own)],
      publish('dt/a/x', { 'iot:ClientId': '*' }),
      'implicitDeny',
    ],
    [
      'a client id +',
      [allow('*', own)],
      publish('dt/+/x', { 'iot:ClientId': '+' }),
      'implicitDeny',
    ],
    ['an escaped star', [allow('*', arn('topic/${*}${?}${$}'))], publish('*?$'), 'allow'],
    ['what an escaped star is not', [allow('*', arn('topic/${*}'))], publish('a'), 'implicitDeny'],
    ['a dollar sign', [allow('*', arn('topic/$aws/*'))], publish('$aws/a'), 'allow'],
    [
      'certificate and thing',
      [
        allow(
          '*',
          arn('topic/${iot:Certificate.Subject.CommonName}/${iot:Connection.Thing.ThingName}'),
        ),
      ],
      publish('cn/t', {
        'iot:Certificate.Subject.CommonName': 'cn',
        'iot:Connection.Thing.ThingName': 't',
      }),
      'allow',
    ],
    [
      'all actions but one',
      [{ Effect: 'Allow', NotAction: 'iot:Publish', Resource: '*' }],
      publish('a'),
      'implicitDeny',
    ],
    [
      'all resources but one',
      [{ Effect: 'Allow', Action: '*', NotResource: arn('topic/a') }],
      publish('b'),
      'allow',
    ],
    [
      'all but the own, without a client id',
      [{ Effect: 'Allow', Action: '*', NotResource: own }],
      publish('b'),
      'implicitDeny',
    ],
    [
      'nothing but the own, without a client id',
      [allow('*', '*'), { Effect: 'Deny', Action: '*', NotResource: own }],
      publish('b'),
      'deny',
    ],
    [
      'a wildcard of the account that would reach into the topic',
      [allow('*', 'arn:aws:iot:*:*:topic/a')],
      publish('evil:topic/a'),
      'implicitDeny',
    ],
    ['a colon in a topic', [allow('*', 'arn:aws:iot:*:*:topic/a:*')], publish('a:b:c'), 'allow'],
    [
      'an action without a resource, by *',
      [allow('iot:ListTopicRules', '*')],
      { action: 'iot:ListTopicRules', resource: '*' },
      'allow',
    ],
    [
      'an action without a resource, by an ARN',
      [allow('iot:ListTopicRules', 'arn:*:*:*:*:*')],
      { action: 'iot:ListTopicRules', resource: '*' },
      'implicitDeny',
    ],
    [
      'a topic filter: MQTT wildcards are characters',
      [allow('*', arn('topicfilter/dt/+/x'))],
      { action: 'iot:Subscribe', resource: arn('topicfilter/dt/7/x') },
      'implicitDeny',
    ],
    [
      'the very same topic filter',
      [allow('*', arn('topicfilter/dt/+/#'))],
      { action: 'iot:Subscribe', resource: arn('topicfilter/dt/+/#') },
      'allow',
    ],
    [
      'a topic filter under *',
      [allow('*', arn('topicfilter/dt/*'))],
      { action: 'iot:Subscribe', resource: arn('topicfilter/dt/#') },
      'allow',
    ],
    [
      'a topic where a topic filter is meant',
      [allow('*', arn('topic/*'))],
      { action: 'iot:Subscribe', resource: arn('topicfilter/a') },
      'implicitDeny',
    ],
  ]
  test.each(cases)('%s', (_name, statements, request, expected) => {
    expect(compilePolicy(policyOf(...statements)).decide(request)).toBe(expected)
  })

  test('one statement need not be in a list', () => {
    const policy = compilePolicy({ Version: '2012-10-17', Id: 'x', Statement: allow('*', '*') })
    expect(policy.decide(publish('a'))).toBe('allow')
  })

  test('a denial in one of several policies holds for all; no policy allows nothing', () => {
    const all = compilePolicy(policyOf(allow('*', '*')))
    const none = compilePolicy(policyOf(deny('*', arn('topic/a'))))
    expect(combinePolicies([all, none]).decide(publish('a'))).toBe('deny')
    expect(combinePolicies([none, all]).decide(publish('b'))).toBe('allow')
    expect(combinePolicies([]).decide(publish('b'))).toBe('implicitDeny')
  })
})

describe('the examples of docs/SECURITY.md', () => {
  const text = readFileSync(new URL('../../../docs/SECURITY.md', import.meta.url), 'utf8')
  const blocks = [...text.matchAll(/```json\n([^]*?)```/g)].map(([, json = '']) => json)

  test.each(blocks)('%s', (json) => {
    const document = JSON.parse(json) as Record<string, unknown>
    if ('accessKeys' in document) parseAccessKeys(json)
    else compilePolicy(document)
    expect(blocks).toHaveLength(3)
  })
})

const attachedKey = 'iot:Connection.Thing.IsAttached'

describe('what is refused, with the place', () => {
  const good = allow('iot:Publish', '*')
  const cases: [string, unknown, RegExp][] = [
    ['no object', [], /^p: must be a JSON object/],
    ['no version', { Statement: [good] }, /Version must be "2012-10-17"/],
    ['the older version', { Version: '2008-10-17', Statement: [good] }, /Version must be/],
    ['no statement', { Version: '2012-10-17' }, /Statement is missing/],
    ['an empty list', policyOf(), /Statement is missing/],
    [
      'an unknown member',
      { ...policyOf(good), statement: [] },
      /statement .* did you mean Statement/,
    ],
    ['an unknown member of a statement', policyOf({ ...good, Efect: '' }), /\[0\]: Efect is not/],
    ['another effect', policyOf({ ...good, Effect: 'allow' }), /Effect must be/],
    [
      'a principal',
      policyOf({ ...good, Principal: '*' }),
      /Principal is for policies of resources/,
    ],
    ['Action and NotAction', policyOf({ ...good, NotAction: '*' }), /Action or NotAction/],
    ['neither', policyOf({ Effect: 'Allow', Resource: '*' }), /Action or NotAction/],
    ['no resource', policyOf(good, { Effect: 'Allow', Action: '*' }), /\[1\]: give Resource or/],
    ['an empty list of actions', policyOf(allow([], '*')), /Action is empty/],
    ['a number', policyOf(allow(['iot:*', 1], '*')), /Action must be a text or a list of texts/],
    ['no service', policyOf(allow('Publish', '*')), /Publish is not an action/],
    ['a variable in an action', policyOf(allow('iot:${*}', '*')), /is not an action/],
    ['a bare topic', policyOf(allow('*', 'topic/a')), /topic\/a is not a resource/],
    ['an ARN cut short', policyOf(allow('*', 'arn:aws:iot:*')), /is not a resource/],
    [
      'an unknown variable',
      policyOf(allow('*', arn('topic/${aws:x}'))),
      /\$\{aws:x\} is not a policy/,
    ],
    [
      'a variable with a default',
      policyOf(allow('*', arn("topic/${iot:ClientId, 'a'}"))),
      /is not a policy/,
    ],
    [
      'a variable in the account',
      policyOf(allow('*', 'arn:aws:iot:*:${iot:ClientId}:topic/a')),
      /in the last field of an ARN only/,
    ],
    ['an open variable', policyOf(allow('*', arn('topic/${iot:'))), /not closed/],
    [
      'two conditions',
      policyOf({ ...good, Condition: { Bool: { [attachedKey]: 'true' }, Null: {} } }),
      /Condition \(Bool, Null\) is not evaluated/,
    ],
    [
      'a condition with another value',
      policyOf({ ...good, Condition: { Bool: { [attachedKey]: ['true', 'false'] } } }),
      /must be "true" or "false"/,
    ],
    ['too long a document', policyOf(allow('*', arn('x'.repeat(21_000)))), /20480 are taken/],
    ['too many statements', policyOf(...Array.from({ length: 201 }, () => good)), /more than 200/],
  ]
  test.each(cases)('%s', (_name, document, message) => {
    const refusal = expect.objectContaining({
      code: 'MalformedPolicyException',
      message: expect.stringMatching(message),
    })
    expect(() => compilePolicy(document, 'p')).toThrow(refusal)
  })

  test('any JSON is compiled or refused as malformed', () => {
    fc.assert(
      fc.property(fc.jsonValue(), fc.jsonValue(), (Action, Resource) => {
        expect(thrownBy(() => compilePolicy(policyOf(allow(Action, Resource))))).toSatisfy(
          (thrown) => thrown === undefined || thrown instanceof SluiceError,
        )
      }),
    )
  })
})

function thrownBy(call: () => unknown): unknown {
  try {
    call()
  } catch (thrown) {
    return thrown
  }
  return undefined
}

/** Says the same as the engine's matcher, by the definition and without care for time. */
function matchesNaively(pattern: string, text: string): boolean {
  const [head, ...tail] = pattern
  if (head === undefined) return text === ''
  const [first, ...rest] = text
  if (head === '*') {
    return (
      matchesNaively(tail.join(''), text) ||
      (first !== undefined && matchesNaively(pattern, rest.join('')))
    )
  }
  return (
    first !== undefined &&
    (head === '?' || head === first) &&
    matchesNaively(tail.join(''), rest.join(''))
  )
}

const letters = (alphabet: string[], maxLength: number) =>
  fc.string({ unit: fc.constantFrom(...alphabet), maxLength })

describe('patterns', () => {
  test('match what the definition matches', () => {
    fc.assert(
      fc.property(
        letters(['a', 'b', '*', '?', '𝒳', '+'], 9),
        letters(['a', 'b', '𝒳', '+'], 12),
        (pattern, text) => {
          const matches = compilePattern(pattern, 'p').matches(text, {})
          expect(matches).toBe(matchesNaively(pattern, text))
        },
      ),
      { numRuns: 3_000 },
    )
  })

  test('a value is compared literally, wherever it stands', () => {
    fc.assert(
      fc.property(
        letters(['a', 'b', '/', '}', '{'], 6),
        letters(['a', 'b', '/'], 10),
        (value, text) => {
          const pattern = compilePattern('*${iot:ClientId}*', 'p')
          const matches = pattern.matches(text, { 'iot:ClientId': value })
          expect(matches).toBe(value !== '' && text.includes(value))
        },
      ),
    )
  })

  test('come to an end where going back to each star would not', () => {
    const pattern = compilePattern(`${'*a'.repeat(500)}*${'a'.repeat(500)}b*`, 'p')
    expect(pattern.matches('a'.repeat(2_000), {})).toBe(false)
  })
})

const resourceIn = (account: string) => `arn:aws:iot:us-east-1:${account}:topic/a`

describe('while the account is not known', () => {
  const accounts = ['123456789012', '210987654321'] as const
  const fields = fc.constantFrom(...accounts, '*', '1*', '????????????', '**')
  const statements = fc.array(
    fc.record({
      Effect: fc.constantFrom('Allow', 'Deny'),
      Action: fc.constant('iot:Publish'),
      member: fc.constantFrom('Resource', 'NotResource'),
      texts: fc.array(
        fc.oneof(
          { arbitrary: fc.constant('*'), weight: 1 },
          {
            arbitrary: fc
              .tuple(fields, fc.constantFrom('topic/a', 'topic/*', 'topic/b'))
              .map(([account, rest]) => `arn:aws:iot:us-east-1:${account}:${rest}`),
            weight: 4,
          },
        ),
        { minLength: 1, maxLength: 3 },
      ),
    }),
    { minLength: 1, maxLength: 4 },
  )

  test('nothing is allowed that one of all accounts would not be', () => {
    fc.assert(
      fc.property(statements, (list) => {
        const policy = compilePolicy(
          policyOf(...list.map(({ member, texts, ...rest }) => ({ ...rest, [member]: texts }))),
        )
        const decide = (account: string) =>
          policy.decide({ action: 'iot:Publish', resource: resourceIn(account) })
        const isAllowedInAll = accounts.every((account) => decide(account) === 'allow')
        expect(decide(unknownAccount) === 'allow' && !isAllowedInAll).toBe(false)
        // What names no account is decided as for any.
        const known = policy.namesAccount ? decide(unknownAccount) : decide(accounts[0])
        expect(decide(unknownAccount)).toBe(known)
      }),
      { numRuns: 1_000 },
    )
  })

  test.each<[string, unknown, boolean]>([
    ['an account', allow('*', resourceIn(accounts[0])), true],
    ['a part of one', deny('*', resourceIn('1*')), true],
    ['any account', allow('*', resourceIn('*')), false],
    ['any resource', allow('*', '*'), false],
    ['a resource of another service', allow('*', 'arn:aws:s3:::bucket'), false],
  ])('a policy that names %s tells so', (_what, statement, expected) => {
    expect(compilePolicy(policyOf(statement)).namesAccount).toBe(expected)
    expect(combinePolicies([compilePolicy(policyOf(statement))]).namesAccount).toBe(expected)
  })
})

import * as fc from 'fast-check'
import { expect, test } from 'vitest'
import {
  createPermissions,
  decisionsRememberedMax,
  mayConnect,
} from '../../../src/identity/policies/permissions.ts'
import { compilePolicy } from '../../../src/identity/policies/policy.ts'
import type { Policy } from '../../../src/identity/policies/policy.ts'
import {
  documentOf,
  isAllowedNaively,
  names,
  owner,
  statementLists,
  variableNames,
} from './naive-policy.ts'

const questions = fc.record({
  kind: fc.constantFrom('mayPublish', 'mayRetain', 'maySubscribe', 'mayReceive'),
  name: names,
})
const requestOf = {
  mayPublish: (name: string) => ({ action: 'iot:Publish', resource: `topic/${name}` }),
  mayRetain: (name: string) => ({ action: 'iot:RetainPublish', resource: `topic/${name}` }),
  maySubscribe: (name: string) => ({ action: 'iot:Subscribe', resource: `topicfilter/${name}` }),
  mayReceive: (name: string) => ({ action: 'iot:Receive', resource: `topic/${name}` }),
}

test('no topic, filter or client id gets by a policy: what is remembered is what it says by the letter', () => {
  const values = fc.option(names, { nil: undefined })
  fc.assert(
    fc.property(
      fc.array(fc.tuple(statementLists, fc.array(questions, { maxLength: 12 })), { maxLength: 4 }),
      names,
      values,
      (rounds, clientId, commonName) => {
        const variables = {
          'iot:ClientId': clientId,
          'iot:Connection.Thing.ThingName': clientId,
          ...(commonName === undefined ? {} : { 'iot:Certificate.Subject.CommonName': commonName }),
        }
        expect(Object.keys(variables).every((name) => variableNames.includes(name as never))).toBe(
          true,
        )
        let policy: Policy | undefined
        const options = { principal: 'p', owner, variables, policyNow: () => policy }
        const permissions = createPermissions(options)
        for (const [statements, asked] of rounds) {
          policy = compilePolicy(documentOf(statements))
          const connect = { action: 'iot:Connect', resource: `client/${clientId}` }
          expect(mayConnect(options, clientId)).toBe(
            isAllowedNaively(statements, connect, variables),
          )
          for (const { kind, name } of [...asked, ...asked]) {
            const expected = isAllowedNaively(statements, requestOf[kind](name), variables)
            expect([kind, name, permissions[kind](name)]).toEqual([kind, name, expected])
          }
        }
      },
    ),
    { numRuns: 500 },
  )
})

/** A policy that counts how often it is asked. */
function createCounted() {
  const compiled = compilePolicy(
    documentOf([{ effect: 'Allow', action: '*', resource: 'topic/even/*' }]),
  )
  let count = 0
  const policy: Policy = {
    namesAccount: false,
    decide(request) {
      count++
      return compiled.decide(request)
    },
  }
  return { policy, asked: () => count }
}

test('a policy is asked once about the last topics, and anew when it is replaced', () => {
  const [first, second] = [createCounted(), createCounted()]
  let now: Policy | undefined = first.policy
  const permissions = createPermissions({
    principal: undefined,
    owner,
    variables: {},
    policyNow: () => now,
  })
  const topics = Array.from({ length: decisionsRememberedMax }, (_, index) => `even/${index}`)
  for (let round = 0; round < 3; round++) {
    for (const topic of topics) expect(permissions.mayPublish(topic)).toBe(true)
    expect(permissions.mayPublish(topics[0] ?? '')).toBe(true)
  }
  expect(first.asked()).toBe(decisionsRememberedMax)
  expect(permissions.mayPublish('odd')).toBe(false)
  expect(permissions.mayPublish(topics[0] ?? '')).toBe(true)
  expect(first.asked()).toBe(decisionsRememberedMax + 2)
  now = second.policy
  expect(permissions.mayPublish(topics[0] ?? '')).toBe(true)
  expect(second.asked()).toBe(1)
  now = undefined
  expect(permissions.mayPublish('odd')).toBe(true)
})

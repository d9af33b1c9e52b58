import { CreateTopicRuleCommand, ReplaceTopicRuleCommand } from '@aws-sdk/client-iot'
import { describe, expect, test, onTestFinished } from 'vitest'
import { createRoleProbe } from '../../../src/http/aws-iot/role-probe.ts'
import { systemClock } from '../../../src/base/clock.ts'
import { createAwsCalls } from '../../../src/aws/aws-calls.ts'
import { createLabServer } from '../../../src/lab/server/lab-server.ts'
import { createMemoryLogger } from '../../../src/telemetry/telemetry.ts'
import { payloadOf } from '../../rules/rule-fixtures.ts'
import { startServer } from '../http-fixtures.ts'

const roleArn = (name: string) => `arn:aws:iam::123456789012:role/${name}`
const kinesis = (role: string) => ({ kinesis: { roleArn: roleArn(role), streamName: 's' } })
const republish = { republish: { roleArn: roleArn('refused'), topic: 't' } }

/** The HTTP server with a probe that asks an STS which refuses the role `refused`. */
async function serverWithProbe() {
  const region = 'eu-central-1'
  const lab = await createLabServer({
    host: '127.0.0.1',
    port: 0,
    region,
    accountId: '1'.repeat(12),
  })
  onTestFinished(() => lab.close())
  lab.faults.add({
    operation: 'AssumeRole',
    roleArn: roleArn('refused'),
    effect: { kind: 'error', code: 'AccessDenied', message: 'not authorized' },
  })
  const logged: Record<string, unknown>[] = []
  const logger = createMemoryLogger((line) => logged.push(line))
  const aws = createAwsCalls(
    { clock: systemClock, logger },
    {
      stsEndpoint: `http://127.0.0.1:${lab.port}`,
      baseCredentials: { accessKeyId: 'any', secretAccessKey: 'any' },
    },
  )
  onTestFinished(() => aws.close())
  const assumeRole = (arn: string, externalId?: string) =>
    aws.credentialsOf(region, arn, externalId).current()
  const probeRoles = createRoleProbe({ assumeRole, logger })
  return { ...(await startServer({ dependencies: { probeRoles } })), lab, logged }
}

describe('the roles of a rule that is created or replaced', () => {
  test('are assumed, and the rule is refused when one is', async () => {
    const { iot, store } = await serverWithProbe()
    const create = (ruleName: string, members: object) =>
      iot.send(
        new CreateTopicRuleCommand({
          ruleName,
          topicRulePayload: { sql: "SELECT * FROM 'a'", actions: [], ...members },
        }),
      )
    const refusal = {
      name: 'InvalidRequestException',
      message: expect.stringContaining(
        `unable to assume role (sts:AssumeRole) on resource: ${roleArn('refused')}`,
      ) as string,
    }
    await create('good', { actions: [kinesis('good')] })
    await expect(create('bad', { actions: [kinesis('refused')] })).rejects.toMatchObject(refusal)
    await expect(
      create('bad', { errorAction: kinesis('refused'), ruleDisabled: true }),
    ).rejects.toMatchObject(refusal)
    await expect(
      iot.send(
        new ReplaceTopicRuleCommand({
          ruleName: 'good',
          topicRulePayload: { sql: "SELECT * FROM 'a'", actions: [kinesis('refused')] },
        }),
      ),
    ).rejects.toMatchObject(refusal)
    expect(store.all().map(({ name }) => name)).toEqual(['good'])
    expect(store.get('good').payload.actions).toEqual([kinesis('good')])
  })

  test('are not asked for where nothing assumes them', async () => {
    const { iot, store } = await serverWithProbe()
    const topicRulePayload = { sql: "SELECT * FROM 'a'", actions: [republish] }
    await iot.send(new CreateTopicRuleCommand({ ruleName: 'r', topicRulePayload }))
    await store.create('own', payloadOf('a', { actions: [kinesis('refused')] }), {})
    await store.setDelivery('own', { defaults: { credentials: 'process' } })
    const again = { sql: "SELECT * FROM 'b'", actions: [kinesis('refused')] }
    await iot.send(new ReplaceTopicRuleCommand({ ruleName: 'own', topicRulePayload: again }))
    expect(store.match('b')).toHaveLength(1)
  })

  test('are assumed as the delivery settings say that were there before the rule', async () => {
    const { iot, store, lab, url } = await serverWithProbe()
    const put = (rule: string, delivery: object) =>
      fetch(`${url}/v1/rules/${rule}/delivery`, { method: 'PUT', body: JSON.stringify(delivery) })
    const create = (ruleName: string, role: string) =>
      iot.send(
        new CreateTopicRuleCommand({
          ruleName,
          topicRulePayload: { sql: "SELECT * FROM 'a'", actions: [kinesis(role)] },
        }),
      )
    expect((await put('own', { defaults: { credentials: 'process' } })).status).toBe(200)
    await create('own', 'refused')
    expect(store.get('own').delivery).toEqual({ defaults: { credentials: 'process' } })

    // A role that demands an external id.
    lab.faults.clear()
    const effect = { kind: 'error', code: 'AccessDenied' } as const
    lab.faults.add({ operation: 'AssumeRole', effect }, ({ externalId }) => externalId !== 'agreed')
    await expect(create('named', 'demanding')).rejects.toMatchObject({
      name: 'InvalidRequestException',
    })
    await put('named', { actions: { '0': { externalId: 'agreed' } } })
    await create('named', 'demanding')
    expect(store.get('named').delivery).toEqual({ actions: { '0': { externalId: 'agreed' } } })
  })

  test('are asked for after the statement is read', async () => {
    const { iot } = await serverWithProbe()
    const topicRulePayload = { sql: 'SELECT', actions: [kinesis('refused')] }
    await expect(
      iot.send(new CreateTopicRuleCommand({ ruleName: 'r', topicRulePayload })),
    ).rejects.toMatchObject({ name: 'SqlParseException' })
  })

  test('count as good while STS cannot be reached', async () => {
    const { iot, lab, logged, store } = await serverWithProbe()
    lab.faults.clear()
    lab.faults.add({ operation: 'AssumeRole', effect: { kind: 'html', status: 503 } })
    const topicRulePayload = { sql: "SELECT * FROM 'a'", actions: [kinesis('good')] }
    await iot.send(new CreateTopicRuleCommand({ ruleName: 'r', topicRulePayload }))
    expect(store.all()).toHaveLength(1)
    expect(logged).toMatchObject([{ level: 'warn', roleArn: roleArn('good') }])
  })
})

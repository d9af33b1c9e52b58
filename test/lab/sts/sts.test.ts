import { AssumeRoleCommand, GetCallerIdentityCommand } from '@aws-sdk/client-sts'
import { describe, expect, test } from 'vitest'
import { createManualClock } from '../../helpers/manual-clock.ts'
import { startLab, stsClient } from '../lab-fixtures.ts'

const roleArn = 'arn:aws:iam::123456789012:role/service-role/iot-to-kinesis'

async function post(lab: { port: number }, form: Record<string, string>) {
  const response = await fetch(`http://127.0.0.1:${lab.port}/`, {
    method: 'POST',
    body: new URLSearchParams({ Version: '2011-06-15', ...form }),
  })
  return { status: response.status, body: await response.text() }
}

describe('AssumeRole', () => {
  test.each([
    [undefined, 3_600],
    [900, 900],
    [43_200, 43_200],
  ])('gives keys for a duration of %s', async (DurationSeconds, lifetimeSeconds) => {
    const clock = createManualClock()
    const lab = await startLab({ clock })
    const command = new AssumeRoleCommand({
      RoleArn: roleArn,
      RoleSessionName: 'sluice',
      ...(DurationSeconds === undefined ? {} : { DurationSeconds }),
    })
    const { Credentials, AssumedRoleUser } = await stsClient(lab).send(command)
    expect(Credentials?.AccessKeyId).toMatch(/^ASIA[A-Z2-7]{16}$/)
    expect(Credentials?.SecretAccessKey).toHaveLength(40)
    expect(Credentials?.SessionToken?.length).toBeGreaterThan(100)
    expect(Credentials?.Expiration).toEqual(new Date(clock.wallMs() + lifetimeSeconds * 1000))
    expect(AssumedRoleUser?.Arn).toBe(
      'arn:aws:sts::123456789012:assumed-role/iot-to-kinesis/sluice',
    )
    expect(lab.calls.list()).toMatchObject([{ operation: 'AssumeRole', roleArn, status: 200 }])
  })

  const given = { Action: 'AssumeRole', RoleArn: roleArn, RoleSessionName: 'sluice' }
  test.each([
    ['without a role', { RoleArn: '' }, 'ValidationError', /'roleArn' .* equal to 20/],
    [
      'an ARN of no role',
      { RoleArn: 'arn:aws:iam::123456789012:user/me' },
      'ValidationError',
      /is invalid/,
    ],
    ['a short session name', { RoleSessionName: 'a' }, 'ValidationError', /'roleSessionName'/],
    ['a session name with a blank', { RoleSessionName: 'a b' }, 'ValidationError', /pattern/],
    ['a duration under 15 minutes', { DurationSeconds: '899' }, 'ValidationError', /equal to 900/],
    ['a duration over 12 hours', { DurationSeconds: '43201' }, 'ValidationError', /equal to 43200/],
    ['a duration that is no number', { DurationSeconds: 'x' }, 'MalformedInput', /integer/],
    ['a policy that is none', { Policy: '[1]' }, 'MalformedPolicyDocument', /JSON object/],
    ['another operation', { Action: 'AssumeRoot' }, 'InvalidAction', /AssumeRoot/],
  ])('refuses %s', async (_what, members, code, message) => {
    const answer = await post(await startLab(), { ...given, ...members })
    expect(answer.status).toBe(400)
    expect(answer.body).toContain(`<Type>Sender</Type><Code>${code}</Code>`)
    expect(answer.body).toMatch(message)
  })

  test('of a role that a fault rule refuses', async () => {
    const lab = await startLab()
    const RoleSessionName = 'sluice'
    lab.faults.add({
      operation: 'AssumeRole',
      roleArn,
      effect: { kind: 'error', code: 'AccessDenied', message: 'not <you> & me' },
    })
    const sts = stsClient(lab)
    await expect(
      sts.send(new AssumeRoleCommand({ RoleArn: roleArn, RoleSessionName })),
    ).rejects.toMatchObject({
      name: 'AccessDenied',
      message: 'not <you> & me',
      $metadata: { httpStatusCode: 403 },
    })
    const other = new AssumeRoleCommand({ RoleArn: `${roleArn}-other`, RoleSessionName })
    expect(await sts.send(other)).toMatchObject({ $metadata: { httpStatusCode: 200 } })
  })
})

describe('GetCallerIdentity', () => {
  test('names the account of the lab for keys from anywhere', async () => {
    const lab = await startLab()
    expect(await stsClient(lab).send(new GetCallerIdentityCommand({}))).toMatchObject({
      Account: '000000000000',
      Arn: 'arn:aws:iam::000000000000:user/lab',
      UserId: 'AKIDEXAMPLE',
    })
  })

  test('names the role for keys that AssumeRole gave', async () => {
    const lab = await startLab()
    const assume = new AssumeRoleCommand({ RoleArn: roleArn, RoleSessionName: 'sluice' })
    const { Credentials } = await stsClient(lab).send(assume)
    const sts = stsClient(lab, { accessKeyId: Credentials?.AccessKeyId ?? '' })
    expect(await sts.send(new GetCallerIdentityCommand({}))).toMatchObject({
      Account: '123456789012',
      Arn: 'arn:aws:sts::123456789012:assumed-role/iot-to-kinesis/sluice',
    })
  })

  test('can be asked with a plain GET', async () => {
    const lab = await startLab()
    const url = `http://127.0.0.1:${lab.port}/?Action=GetCallerIdentity&Version=2011-06-15`
    expect(await (await fetch(url)).text()).toContain('<Account>000000000000</Account>')
  })
})

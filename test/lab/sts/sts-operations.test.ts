import * as client from '@aws-sdk/client-sts'
import {
  AssumeRoleCommand,
  AssumeRoleWithWebIdentityCommand,
  GetAccessKeyInfoCommand,
  GetCallerIdentityCommand,
  GetFederationTokenCommand,
  GetSessionTokenCommand,
} from '@aws-sdk/client-sts'
import { describe, expect, test } from 'vitest'
import { missingStsOperations, stsOperations } from '../../../src/lab/sts/sts-operations.ts'
import { createManualClock } from '../../helpers/manual-clock.ts'
import { startLab, stsClient } from '../lab-fixtures.ts'

const RoleArn = 'arn:aws:iam::123456789012:role/iot'
const RoleSessionName = 'sluice'
const keys = { accessKeyId: 'AKIALABLABLABLAB', secretAccessKey: 'not-a-secret' }

const part = (content: unknown) => Buffer.from(JSON.stringify(content)).toString('base64url')
const tokenOf = (claims: object) => `${part({ alg: 'none' })}.${part(claims)}.c2ln`

type Credentials = client.Credentials | undefined
const keysOf = (credentials: Credentials) => ({
  accessKeyId: credentials?.AccessKeyId ?? '',
  secretAccessKey: credentials?.SecretAccessKey ?? '',
  sessionToken: credentials?.SessionToken ?? '',
})

test('every operation of STS is served, or listed as missing', () => {
  const operationKind = 9
  const model = Object.values({ ...client } as Record<string, unknown>).flatMap((value) =>
    Array.isArray(value) && value[0] === operationKind ? [String(value[2])] : [],
  )
  expect(model.length).toBeGreaterThan(8)
  const ours = [...stsOperations.keys(), ...missingStsOperations]
  expect(ours.toSorted()).toEqual(model.toSorted())
})

describe('a session', () => {
  test.each([
    [undefined, 43_200],
    [900, 900],
    [129_600, 129_600],
  ])('of the user lasts %s', async (DurationSeconds, lifeSeconds) => {
    const clock = createManualClock()
    const lab = await startLab({ clock, strict: keys })
    const sts = stsClient(lab, keys, { systemClockOffset: clock.wallMs() - Date.now() })
    const { Credentials } = await sts.send(new GetSessionTokenCommand({ DurationSeconds }))
    expect(Credentials?.Expiration).toEqual(new Date(clock.wallMs() + lifeSeconds * 1000))
  })

  test('signs the calls of a strict lab as the user, and starts no other one', async () => {
    const lab = await startLab({ strict: keys })
    const { Credentials } = await stsClient(lab, keys).send(new GetSessionTokenCommand({}))
    const sts = stsClient(lab, keysOf(Credentials))
    expect(await sts.send(new GetCallerIdentityCommand({}))).toMatchObject({
      Arn: 'arn:aws:iam::000000000000:user/lab',
      UserId: keys.accessKeyId,
    })
    for (const command of [
      new GetSessionTokenCommand({}),
      new GetFederationTokenCommand({ Name: 'me' }),
    ]) {
      await expect(sts.send(command as GetSessionTokenCommand)).rejects.toMatchObject({
        name: 'AccessDenied',
        message: expect.stringMatching(
          /^Cannot call Get\w+Token with session credentials/,
        ) as string,
      })
    }
  })

  test('of a federated user has its name', async () => {
    const lab = await startLab()
    const federated = {
      FederatedUserId: '000000000000:me',
      Arn: 'arn:aws:sts::000000000000:federated-user/me',
    }
    const command = new GetFederationTokenCommand({ Name: 'me', Policy: '{"Statement": []}' })
    const { Credentials, FederatedUser } = await stsClient(lab).send(command)
    expect(FederatedUser).toEqual(federated)
    const sts = stsClient(lab, keysOf(Credentials))
    expect(await sts.send(new GetCallerIdentityCommand({}))).toMatchObject({
      Arn: federated.Arn,
      UserId: federated.FederatedUserId,
    })
  })

  test('tells its source identity where it was started with one', async () => {
    const sts = stsClient(await startLab())
    const input = { RoleArn, RoleSessionName, SourceIdentity: 'somebody' }
    expect(await sts.send(new AssumeRoleCommand(input))).toMatchObject({
      SourceIdentity: 'somebody',
    })
  })
})

test('the account of a key is that of its session, or that of the lab', async () => {
  const sts = stsClient(await startLab())
  const { Credentials } = await sts.send(new AssumeRoleCommand({ RoleArn, RoleSessionName }))
  const accountOf = async (AccessKeyId = '') =>
    (await sts.send(new GetAccessKeyInfoCommand({ AccessKeyId }))).Account
  expect(await accountOf(Credentials?.AccessKeyId)).toBe('123456789012')
  expect(await accountOf('AKIAIOSFODNN7EXAMPLE')).toBe('000000000000')
  await expect(accountOf('short')).rejects.toMatchObject({ name: 'ValidationError' })
})

const claims = { sub: 'system:serviceaccount:a:b', aud: ['sts'], iss: 'https://oidc', exp: 2e9 }
const assume = async (WebIdentityToken: string, more: object = {}, options: object = {}) => {
  const lab = await startLab(options)
  const input = { RoleArn, RoleSessionName, WebIdentityToken, ...more }
  return stsClient(lab).send(new AssumeRoleWithWebIdentityCommand(input))
}

describe('a web identity', () => {
  test('assumes a role', async () => {
    const answer = await assume(tokenOf(claims))
    expect(answer).toMatchObject({
      SubjectFromWebIdentityToken: claims.sub,
      Audience: 'sts',
      Provider: claims.iss,
      AssumedRoleUser: { Arn: 'arn:aws:sts::123456789012:assumed-role/iot/sluice' },
    })
    expect(answer.Credentials?.AccessKeyId).toMatch(/^ASIA/)
  })

  test('may have a token that only its provider reads', async () => {
    expect(await assume('opaque', { ProviderId: 'www.amazon.com' })).toMatchObject({
      Provider: 'www.amazon.com',
    })
  })

  test.each<[string, string, object, string]>([
    ['without a proper token', 'opaque', {}, 'InvalidIdentityTokenException'],
    ['without a subject', tokenOf({ iss: 'x' }), {}, 'InvalidIdentityTokenException'],
    ['of yesterday', tokenOf({ ...claims, exp: 1 }), {}, 'ExpiredTokenException'],
    ['in a strict lab, which cannot verify it', tokenOf(claims), { strict: keys }, 'AccessDenied'],
  ])('%s is refused', async (_, token, options, name) => {
    await expect(assume(token, {}, options)).rejects.toMatchObject({ name })
  })
})

import { ListStreamsCommand, PutRecordCommand } from '@aws-sdk/client-kinesis'
import type { KinesisClientConfig } from '@aws-sdk/client-kinesis'
import { AssumeRoleCommand, GetCallerIdentityCommand } from '@aws-sdk/client-sts'
import type { STSClientConfig } from '@aws-sdk/client-sts'
import { describe, expect, onTestFinished, test } from 'vitest'
import { startLabWorker } from '../../../src/lab/worker/lab-worker.ts'
import { createMemoryLogger } from '../../../src/telemetry/telemetry.ts'
import { createManualClock } from '../../helpers/manual-clock.ts'
import { accountId, kinesisClient, rawCall, region, startLab, stsClient } from '../lab-fixtures.ts'
import type { ManualClock } from '../../helpers/manual-clock.ts'

const credentials = { accessKeyId: 'AKIALAB', secretAccessKey: 'a secret' }
const assumeRole = new AssumeRoleCommand({
  RoleArn: 'arn:aws:iam::123456789012:role/iot',
  RoleSessionName: 'sluice',
  DurationSeconds: 900,
})

/** A strict lab, and clients whose signatures bear the lab's time. */
async function startStrict() {
  const clock = createManualClock()
  const lab = await startLab({ clock, strict: credentials })
  lab.ensureStream('s', 1)
  return { clock, lab, config: configAt(clock) }
}

function configAt(clock: ManualClock, aheadMs = 0) {
  return { credentials, systemClockOffset: clock.wallMs() + aheadMs - Date.now() }
}

async function sessionKeys(lab: { port: number }, config: STSClientConfig) {
  const { Credentials: keys } = await stsClient(lab, {}, config).send(assumeRole)
  return {
    accessKeyId: keys?.AccessKeyId ?? '',
    secretAccessKey: keys?.SecretAccessKey ?? '',
    sessionToken: keys?.SessionToken ?? '',
  }
}

const listStreams = new ListStreamsCommand({})
const whoAmI = new GetCallerIdentityCommand({})

describe('signed calls are answered', () => {
  test.each(['HTTP/1.1', 'HTTP/2'] as const)('over %s', async (version) => {
    const { lab, config } = await startStrict()
    const put = { StreamName: 's', PartitionKey: 'schlüssel', Data: Buffer.from('ünïcode') }
    // A client learns the time from the first answer, where it is that of this machine.
    await kinesisClient(lab, version, config).send(new PutRecordCommand(put))
    const client = kinesisClient(lab, version, config)
    expect(await client.send(listStreams)).toMatchObject({ StreamNames: ['s'] })
  })

  test('by the keys of a session, until they expire', async () => {
    const { clock, lab, config } = await startStrict()
    const keys = await sessionKeys(lab, config)
    const call = (changes: Partial<typeof keys> = {}) =>
      kinesisClient(lab, 'HTTP/1.1', {
        ...configAt(clock),
        credentials: { ...keys, ...changes },
      }).send(listStreams)
    await call()
    await expect(call({ sessionToken: 'other' })).rejects.toMatchObject({
      name: 'UnrecognizedClientException',
    })
    await expect(call({ secretAccessKey: 'other' })).rejects.toMatchObject({
      name: 'InvalidSignatureException',
    })
    clock.advance(899_000)
    await call()
    clock.advance(1_000)
    await expect(call()).rejects.toMatchObject({ name: 'ExpiredTokenException' })
    const sts = stsClient(lab, {}, { ...configAt(clock), credentials: keys })
    await expect(sts.send(whoAmI)).rejects.toMatchObject({ name: 'ExpiredToken' })
  })

  test('in the lab of a thread', async () => {
    const logger = createMemoryLogger(() => undefined)
    const options = { host: '127.0.0.1', port: 0, region, accountId, logger }
    const lab = await startLabWorker({ ...options, strict: credentials })
    onTestFinished(() => lab.close())
    expect(await rawCall(lab, 'ListStreams', {})).toMatchObject({ status: 400 })
    const client = kinesisClient(lab, 'HTTP/1.1', { credentials })
    expect(await client.send(listStreams)).toMatchObject({ StreamNames: [] })
  })
})

describe('calls are refused', () => {
  type Config = Pick<KinesisClientConfig & STSClientConfig, 'region' | 'systemClockOffset'> & {
    readonly credentials?: typeof credentials
  }

  test.each<[what: string, config: (clock: ManualClock) => Config, kinesis: string, sts: string]>([
    [
      'of another key',
      () => ({ credentials: { ...credentials, accessKeyId: 'AKIAOTHER' } }),
      'UnrecognizedClientException',
      'InvalidClientTokenId',
    ],
    [
      'with another secret',
      () => ({ credentials: { ...credentials, secretAccessKey: 'guess' } }),
      'InvalidSignatureException',
      'SignatureDoesNotMatch',
    ],
    [
      'for a region that has no proper name',
      () => ({ region: 'EU-WEST-1' }),
      'InvalidSignatureException',
      'SignatureDoesNotMatch',
    ],
    [
      'of six minutes ago',
      (clock) => configAt(clock, -360_000),
      'InvalidSignatureException',
      'SignatureDoesNotMatch',
    ],
    [
      'of six minutes ahead',
      (clock) => configAt(clock, 360_000),
      'InvalidSignatureException',
      'SignatureDoesNotMatch',
    ],
  ])('%s', async (_what, change, kinesis, sts) => {
    const { clock, lab, config } = await startStrict()
    const given = { ...config, ...change(clock) }
    await expect(kinesisClient(lab, 'HTTP/1.1', given).send(listStreams)).rejects.toMatchObject({
      name: kinesis,
      $metadata: { httpStatusCode: 400 },
    })
    await expect(stsClient(lab, {}, given).send(whoAmI)).rejects.toMatchObject({
      name: sts,
      $metadata: { httpStatusCode: 403 },
    })
    expect(lab.calls.list().map((call) => call.errorCode)).toEqual([kinesis, sts])
  })

  test('without a signature, or with a part of one', async () => {
    const { lab } = await startStrict()
    expect(await rawCall(lab, 'ListStreams', {})).toMatchObject({
      status: 400,
      type: 'MissingAuthenticationTokenException',
    })
    const ask = async (headers: Record<string, string>) => {
      const body = new URLSearchParams({ Action: 'GetCallerIdentity', Version: '2011-06-15' })
      const url = `http://127.0.0.1:${lab.port}/`
      const response = await fetch(url, { method: 'POST', headers, body })
      return `${response.status} ${/<Code>(.*)<\/Code>/.exec(await response.text())?.[1]}`
    }
    expect(await ask({})).toBe('403 MissingAuthenticationToken')
    expect(await ask({ authorization: 'AWS4-HMAC-SHA256 x' })).toBe('400 IncompleteSignature')
  })

  test('and change nothing', async () => {
    const { lab } = await startStrict()
    await rawCall(lab, 'DeleteStream', { StreamName: 's' })
    await rawCall(lab, 'PutRecord', { StreamName: 's', PartitionKey: 'k', Data: '' })
    expect(lab.streams.names()).toEqual(['s'])
    expect(lab.streams.records('s')).toEqual([])
  })
})

test('the global STS is signed for as us-east-1, wherever the lab is', async () => {
  const lab = await startLab({ region: 'eu-central-1', strict: credentials })
  for (const signedFor of ['us-east-1', 'eu-central-1']) {
    const sts = stsClient(lab, {}, { credentials, region: signedFor })
    expect(await sts.send(whoAmI)).toMatchObject({ Account: accountId })
  }
})

test('the faults endpoint is not signed', async () => {
  const { lab } = await startStrict()
  expect((await fetch(`http://127.0.0.1:${lab.port}/_faults`)).status).toBe(200)
})

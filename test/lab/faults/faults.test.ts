import { ListStreamsCommand, PutRecordCommand, PutRecordsCommand } from '@aws-sdk/client-kinesis'
import { AssumeRoleCommand } from '@aws-sdk/client-sts'
import { describe, expect, test } from 'vitest'
import { createFaults } from '../../../src/lab/faults/faults.ts'
import type { FaultEffect, FaultRule } from '../../../src/lab/faults/faults.ts'
import type { LabServer, LabServerOptions } from '../../../src/lab/server/lab-server.ts'
import { createManualClock } from '../../helpers/manual-clock.ts'
import { kinesisClient, rawCall, startLab, stsClient } from '../lab-fixtures.ts'

const throttled = 'ProvisionedThroughputExceededException'
const listed = { operation: 'ListStreams' } as const

async function startWith(rules: readonly FaultRule[], options: Partial<LabServerOptions> = {}) {
  const lab = await startLab(options)
  lab.ensureStream('s', 1)
  lab.ensureStream('other', 1)
  for (const rule of rules) lab.faults.add(rule)
  return lab
}

const errorEffect = (code: string): FaultEffect => ({ kind: 'error', code })

const storedKeys = (lab: LabServer) => lab.streams.records('s').map((record) => record.partitionKey)

/** Puts one record per key; gives their error codes, undefined for those that were stored. */
async function putKeys(lab: LabServer, keys: readonly string[], StreamName = 's') {
  const Records = keys.map((PartitionKey) => ({ PartitionKey, Data: '' }))
  const { output } = await rawCall(lab, 'PutRecords', { StreamName, Records })
  const results = (output['Records'] ?? []) as { ErrorCode?: string }[]
  expect(output['FailedRecordCount']).toBe(results.filter((result) => result.ErrorCode).length)
  return results.map((result) => result.ErrorCode)
}

const putKey = (lab: LabServer, PartitionKey: string) =>
  rawCall(lab, 'PutRecord', { StreamName: 's', PartitionKey, Data: '' })

describe('entries of PutRecords fail', () => {
  const effect: FaultEffect = { kind: 'failEntries', code: throttled }

  test.each<[by: string, rule: Partial<FaultRule>, failed: readonly number[]]>([
    ['all of them', {}, [0, 1, 2, 3]],
    ['by key', { partitionKey: 'a' }, [0, 2]],
    ['by key, so often', { partitionKey: 'a', times: 1 }, [0]],
    ['by key, after so many', { partitionKey: 'a', after: 1 }, [2]],
    ['by position', { positions: [1, 3] }, [1, 3]],
    ['by stream', { streamName: 's', positions: [0] }, [0]],
    ['not of another stream', { streamName: 'other' }, []],
    ['not of another operation', { operation: 'PutRecord' }, []],
    ['of a group of operations', { operation: 'Put*', positions: [0] }, [0]],
    ['not of another group', { operation: 'Get*' }, []],
    ['by shard', { shardId: 'shardId-000000000000' }, [0, 1, 2, 3]],
    ['by shard, without zeros', { shardId: 'shardId-0' }, [0, 1, 2, 3]],
    ['not of another shard', { shardId: 'shardId-000000000001' }, []],
    ['never', { probability: 0 }, []],
  ])('%s', async (_by, rule, failed) => {
    const lab = await startWith([{ ...rule, effect }])
    const keys = ['a', 'b', 'a', 'c']
    const codes = await putKeys(lab, keys)
    expect(codes).toEqual(keys.map((_, index) => (failed.includes(index) ? throttled : undefined)))
    expect(storedKeys(lab)).toEqual(keys.filter((_, index) => !failed.includes(index)))
  })

  test('with the message that AWS gives', async () => {
    const lab = await startWith([
      { positions: [0], effect },
      { positions: [1], effect: { kind: 'failEntries', code: 'InternalFailure' } },
    ])
    const command = new PutRecordsCommand({
      StreamName: 's',
      Records: ['a', 'b'].map((PartitionKey) => ({ PartitionKey, Data: Buffer.of() })),
    })
    expect((await kinesisClient(lab).send(command)).Records).toEqual([
      {
        ErrorCode: throttled,
        ErrorMessage:
          'Rate exceeded for shard shardId-000000000000 in stream s under account 000000000000.',
      },
      { ErrorCode: 'InternalFailure', ErrorMessage: 'Internal service failure.' },
    ])
    expect(lab.calls.list().at(-1)).toMatchObject({ status: 200, failedRecordCount: 2 })
  })

  test.each([{}, { operation: 'Put*' }])('and PutRecord as a whole: %j', async (selectors) => {
    const lab = await startWith([{ ...selectors, partitionKey: 'a', times: 1, effect }])
    expect(await putKey(lab, 'a')).toMatchObject({ status: 400, type: throttled })
    expect(await putKey(lab, 'a')).toMatchObject({ status: 200 })
    expect(storedKeys(lab)).toEqual(['a'])
  })

  test('by a predicate', async () => {
    const lab = await startWith([])
    const added = lab.faults.add({ effect }, (call, entry) => {
      return call.operation === 'PutRecords' && entry?.partitionKey === 'b'
    })
    expect(await putKeys(lab, ['a', 'b'])).toEqual([undefined, throttled])
    expect(added.appliedCount()).toBe(1)
    added.remove()
    expect(await putKeys(lab, ['b'])).toEqual([undefined])
  })

  test('with a probability, the same ones for the same seed', async () => {
    const keys = Array.from({ length: 200 }, (_, index) => String(index))
    const runs = await Promise.all(
      [7, 7, 8].map(async (faultSeed) => {
        const lab = await startWith([{ probability: 0.3, effect }], { faultSeed })
        return putKeys(lab, keys)
      }),
    )
    expect(runs[0]).toEqual(runs[1])
    expect(runs[0]).not.toEqual(runs[2])
    const failed = runs[0]?.filter((code) => code !== undefined).length ?? 0
    expect(failed).toBeGreaterThan(30)
    expect(failed).toBeLessThan(90)
  })
})

describe('whole calls', () => {
  test.each([
    [throttled, 400],
    ['KMSThrottlingException', 400],
    ['AccessDeniedException', 400],
    ['ExpiredTokenException', 400],
    ['InternalFailure', 500],
    ['ServiceUnavailable', 503],
  ])('fail with %s and status %i, twice', async (code, status) => {
    const lab = await startWith([
      { operation: 'PutRecords', times: 2, effect: { kind: 'error', code } },
    ])
    const client = kinesisClient(lab)
    const put = () =>
      client.send(
        new PutRecordsCommand({
          StreamName: 's',
          Records: [{ PartitionKey: 'a', Data: Buffer.of() }],
        }),
      )
    const expected = { name: code, $metadata: { httpStatusCode: status } }
    await expect(put()).rejects.toMatchObject(expected)
    await expect(put()).rejects.toMatchObject(expected)
    expect(storedKeys(lab)).toEqual([])
    expect(await put()).toMatchObject({ FailedRecordCount: 0 })
    expect(lab.calls.list().map((call) => call.errorCode)).toEqual([code, code, undefined])
  })

  test.each<[string, FaultRule, string]>([
    [
      'PutRecords',
      { effect: errorEffect('AccessDeniedException') },
      'User: arn:aws:iam::000000000000:user/lab is not authorized to perform: kinesis:PutRecords ' +
        'on resource: arn:aws:kinesis:us-east-1:000000000000:stream/s because no identity-based ' +
        'policy allows the kinesis:PutRecords action',
    ],
    [
      'ListStreams',
      { effect: errorEffect('AccessDeniedException') },
      'User: arn:aws:iam::000000000000:user/lab is not authorized to perform: kinesis:ListStreams ' +
        'on resource: arn:aws:kinesis:us-east-1:000000000000:* because no identity-based ' +
        'policy allows the kinesis:ListStreams action',
    ],
    [
      'PutRecords',
      { effect: { kind: 'error', code: 'AccessDeniedException', message: 'No.' } },
      'No.',
    ],
    [
      'PutRecords',
      { effect: errorEffect('KMSDisabledException') },
      'KMSDisabledException, as a fault rule asks for.',
    ],
  ])('a denial of %s has the words of AWS: %j', async (operation, rule, message) => {
    const lab = await startWith([rule])
    const input = operation === 'PutRecords' ? { StreamName: 's', Records: [] } : {}
    expect(await rawCall(lab, operation, input)).toMatchObject({ message })
  })

  test('a denial names the session and the role, too', async () => {
    const RoleArn = 'arn:aws:iam::123456789012:role/iot'
    const lab = await startWith([])
    const assume = new AssumeRoleCommand({ RoleArn, RoleSessionName: 'sluice' })
    const { Credentials } = await stsClient(lab).send(assume)
    lab.faults.add({ operation: 'Assume*', effect: errorEffect('AccessDenied') })
    lab.faults.add({ ...listed, effect: errorEffect('AccessDeniedException') })
    await expect(stsClient(lab).send(assume)).rejects.toThrow(
      'User: arn:aws:iam::000000000000:user/lab is not authorized to perform: sts:AssumeRole on ' +
        `resource: ${RoleArn} because`,
    )
    const credentials = {
      accessKeyId: Credentials?.AccessKeyId ?? '',
      secretAccessKey: Credentials?.SecretAccessKey ?? '',
    }
    const asRole = kinesisClient(lab, 'HTTP/1.1', { credentials })
    await expect(asRole.send(new ListStreamsCommand({}))).rejects.toThrow(
      'User: arn:aws:sts::123456789012:assumed-role/iot/sluice is not authorized',
    )
  })

  test('fail by key of any of their records, and by who signed them', async () => {
    const lab = await startWith([
      { partitionKey: 'b', effect: { kind: 'error', code: throttled } },
      { accessKeyId: 'AKIDEXAMPLE', effect: { kind: 'error', code: 'ExpiredTokenException' } },
    ])
    expect(await putKey(lab, 'a')).toMatchObject({ status: 200 })
    const Records = ['a', 'b'].map((PartitionKey) => ({ PartitionKey, Data: '' }))
    expect(await rawCall(lab, 'PutRecords', { StreamName: 's', Records })).toMatchObject({
      type: throttled,
    })
    await expect(kinesisClient(lab).send(new ListStreamsCommand({}))).rejects.toMatchObject({
      name: 'ExpiredTokenException',
    })
  })

  test('are answered with a page of HTML', async () => {
    const lab = await startWith([{ ...listed, effect: { kind: 'html', status: 503 } }])
    const response = await fetch(`http://127.0.0.1:${lab.port}/`, {
      method: 'POST',
      headers: { 'x-amz-target': 'Kinesis_20131202.ListStreams' },
    })
    expect(response.status).toBe(503)
    expect(response.headers.get('content-type')).toBe('text/html')
    await expect(kinesisClient(lab).send(new ListStreamsCommand({}))).rejects.toMatchObject({
      name: 'SyntaxError',
    })
  })

  test('wait', async () => {
    const clock = createManualClock()
    const lab = await startWith([{ ...listed, effect: { kind: 'delay', delayMs: 30_000 } }], {
      clock,
    })
    const waiting = rawCall(lab, 'ListStreams', {})
    // A call that came later is answered meanwhile.
    await rawCall(lab, 'DescribeLimits', {})
    expect(lab.calls.list().map((call) => call.operation)).toEqual(['DescribeLimits'])
    clock.advance(30_000)
    expect(await waiting).toMatchObject({ status: 200 })
    const call = lab.calls.list().at(-1)
    expect((call?.endedMs ?? 0) - (call?.startedMs ?? 0)).toBe(30_000)
  })

  test.each([
    ['dropAnswer', 'HTTP/1.1', ['a']],
    ['dropAnswer', 'HTTP/2', ['a']],
    ['dropCall', 'HTTP/1.1', []],
    ['dropCall', 'HTTP/2', []],
  ] as const)('lose their connection by %s over %s', async (kind, version, stored) => {
    const lab = await startWith([{ operation: 'PutRecord', times: 1, effect: { kind } }])
    const client = kinesisClient(lab, version)
    const command = new PutRecordCommand({
      StreamName: 's',
      PartitionKey: 'a',
      Data: Buffer.of(),
    })
    const thrown: unknown = await client.send(command).catch((error: unknown) => error)
    expect(thrown).toBeInstanceOf(Error)
    expect(thrown).not.toHaveProperty('$metadata.httpStatusCode')
    expect(storedKeys(lab)).toEqual(stored)
    expect(lab.calls.list()).toMatchObject([{ operation: 'PutRecord', status: 0 }])
    await client.send(command)
    expect(storedKeys(lab)).toEqual([...stored, 'a'])
  })
})

describe('rules', () => {
  test('are asked in order, are listed with how often they applied, and are cleared', async () => {
    const first = { ...listed, times: 1, effect: errorEffect('KMSDisabledException') }
    const second = { ...listed, effect: errorEffect('KMSNotFoundException') }
    const lab = await startWith([first, second])
    const types = []
    for (let call = 0; call < 3; call++) types.push((await rawCall(lab, 'ListStreams', {})).type)
    expect(types).toEqual(['KMSDisabledException', 'KMSNotFoundException', 'KMSNotFoundException'])
    expect(lab.faults.list()).toEqual([
      { id: '1', rule: first, appliedCount: 1, remainingCount: 0 },
      { id: '2', rule: second, appliedCount: 2 },
    ])
    lab.faults.clear()
    expect(await rawCall(lab, 'ListStreams', {})).toMatchObject({ status: 200 })
  })

  test('are bounded in number', () => {
    const faults = createFaults()
    const add = () => faults.add({ effect: { kind: 'dropCall' } })
    for (let count = 0; count < 1_000; count++) add()
    expect(add).toThrow(RangeError)
  })
})

describe('the list of calls', () => {
  test('says who called what, and is bounded', async () => {
    const lab = await startWith([], { callsMax: 3 })
    await kinesisClient(lab).send(
      new PutRecordsCommand({
        StreamName: 's',
        Records: ['a', 'b'].map((PartitionKey) => ({ PartitionKey, Data: Buffer.of() })),
      }),
    )
    expect(lab.calls.list()).toMatchObject([
      {
        operation: 'PutRecords',
        streamName: 's',
        partitionKeys: ['a', 'b'],
        accessKeyId: 'AKIDEXAMPLE',
        status: 200,
        failedRecordCount: 0,
      },
    ])
    for (let count = 0; count < 10; count++) await putKey(lab, String(count))
    expect(lab.calls.list().map((call) => call.partitionKeys)).toEqual([['7'], ['8'], ['9']])
    lab.calls.clear()
    expect(lab.calls.list()).toEqual([])
  })

  test('is told to a listener as well', async () => {
    const operations: string[] = []
    const lab = await startWith([], { onCall: (call) => operations.push(call.operation) })
    await rawCall(lab, 'ListStreams', {})
    await rawCall(lab, 'Nonsense', {})
    expect(operations).toEqual(['ListStreams', 'Nonsense'])
  })
})

import { describe, expect, test } from 'vitest'
import type { CallOutcome } from '../../../src/aws/call/call-outcome.ts'
import type { CallRecord } from '../../../src/aws/call/service-sender.ts'
import { createFailureDestinations } from '../../../src/lab/calls/failure-destinations.ts'
import { createRecordedCalls } from '../../../src/lab/calls/recorded-calls.ts'
import { createMemoryLogger } from '../../../src/telemetry/telemetry.ts'
import { createManualClock } from '../../helpers/manual-clock.ts'

const mapping = '0a0b0c0d-0000-4000-8000-000000000001'
const never = new AbortController().signal
const document = { requestContext: { condition: 'RetryAttemptsExhausted' }, payload: '{"ä":1}' }
const text = JSON.stringify(document)

/** @param outcomes those of the calls to an emulator; without them there is no emulator */
function start(outcomes?: readonly CallOutcome[]) {
  const clock = createManualClock()
  const calls = createRecordedCalls()
  const lines: Record<string, unknown>[] = []
  const asked: unknown[] = []
  const sent: (readonly CallRecord[])[] = []
  const send = createFailureDestinations(
    {
      calls,
      clock,
      logger: createMemoryLogger((line) => lines.push(line)),
      emulators: {
        senderFor(destination) {
          asked.push(destination)
          return (
            outcomes && {
              recordsMax: 1,
              bytesMax: 1,
              operationOf: () => '',
              send: (records) => {
                sent.push(records)
                return Promise.resolve(outcomes[sent.length - 1] ?? taken)
              },
            }
          )
        },
      },
    },
    { region: 'eu-west-1' },
  )
  const failed = (destination: string, signal = never) =>
    send({ mapping, destination, shardId: 'shardId-000000000007', document }, signal)
  const recorded = () => calls.list({ maxResults: 100 }).calls
  return { clock, lines, asked, sent, failed, recorded }
}

const taken: CallOutcome = { answered: true, records: [{ ok: true }] }
const failure = { code: 'ECONNREFUSED', message: 'nobody is there', source: 'SQS' } as const
const refused: CallOutcome = { answered: false, failure }
const queue = 'arn:aws:sqs:us-east-1:000000000000:q'

describe('a document for a destination', () => {
  test.for<[string, object, object]>([
    [
      queue,
      { kind: 'sqs', region: 'us-east-1' },
      {
        operation: 'SendMessage',
        parameters: {
          QueueUrl: 'https://sqs.us-east-1.amazonaws.com/000000000000/q',
          MessageBody: text,
        },
      },
    ],
    [
      'arn:aws-cn:sqs:cn-north-1:000000000000:q',
      { kind: 'sqs', region: 'cn-north-1' },
      {
        parameters: {
          QueueUrl: 'https://sqs.cn-north-1.amazonaws.com.cn/000000000000/q',
          MessageBody: text,
        },
      },
    ],
    [
      'arn:aws:sns:us-east-1:000000000000:t',
      { kind: 'sns', region: 'us-east-1' },
      {
        operation: 'Publish',
        parameters: { TopicArn: 'arn:aws:sns:us-east-1:000000000000:t', Message: text },
      },
    ],
    [
      'arn:aws:s3:::a.bucket',
      { kind: 's3', target: 'a.bucket' },
      {
        operation: 'PutObject',
        parameters: {
          Bucket: 'a.bucket',
          Key: expect.stringMatching(
            /^aws\/lambda\/0a0b0c0d-[-0-9]{26}1\/shardId-000000000007\/2026\/01\/01\/2026-01-01T00\.00\.00-[0-9a-f-]{36}$/,
          ) as string,
          Body: text,
        },
      },
    ],
  ])('%s is recorded as the call of Lambda', async ([destination, asks, call]) => {
    const { asked, failed, recorded, lines } = start()
    await failed(destination)
    expect(asked).toMatchObject([asks])
    const { kind } = asks as { kind: string }
    expect(recorded()).toMatchObject([{ at: '2026-01-01T00:00:00.000Z', mapping, kind, ...call }])
    expect(recorded()[0]).not.toHaveProperty('ruleName')
    expect(lines).toMatchObject([
      { mapping, destination, kind, msg: expect.stringContaining('/v1/lab/calls') as string },
    ])
  })

  test('of Kafka has the file of failures alone', async () => {
    const { failed, recorded } = start()
    await failed('kafka://failures')
    expect(recorded()).toEqual([])
  })

  test('goes to an emulator where there is one', async () => {
    const { failed, recorded, sent, lines } = start([taken])
    await failed(queue)
    expect(sent.map(([record]) => record?.data.toString())).toEqual([text])
    expect([recorded(), lines]).toEqual([[], []])
  })

  test('is tried again after one second and after four, and the log says where it is', async () => {
    const { clock, failed, sent, lines } = start([refused, refused, refused])
    let isDone = false
    const done = failed(queue).then(() => (isDone = true))
    for (const [delayMs, count] of [
      [1_000, 2],
      [4_000, 3],
    ] as const) {
      await expect.poll(() => clock.timerCount).toBe(1)
      expect([isDone, sent.length]).toEqual([false, count - 1])
      clock.advance(delayMs)
      await expect.poll(() => sent.length).toBe(count)
    }
    await done
    expect(lines).toMatchObject([
      {
        level: 'error',
        mapping,
        destination: queue,
        reason: 'ECONNREFUSED: nobody is there',
        msg: 'an on-failure document did not reach its destination; the file of failures has it',
      },
    ])
  })

  test('is not tried again when the mapping stops', async () => {
    const stopping = new AbortController()
    const { clock, failed, sent } = start([refused])
    const done = failed(queue, stopping.signal)
    await expect.poll(() => clock.timerCount).toBe(1)
    stopping.abort()
    await done
    expect(sent).toHaveLength(1)
  })
})

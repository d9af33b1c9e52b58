import { createHash } from 'node:crypto'
import { describe, expect, onTestFinished, test } from 'vitest'
import { createProducer } from '../../src/delivery/producer.ts'
import { createLabServer } from '../../src/lab/server/lab-server.ts'
import type { Destination, NewRecord } from '../../src/outbox/outbox.ts'
import { createMemoryLogger } from '../../src/telemetry/telemetry.ts'
import { definitionOf, dynamo, queueUrl } from '../actions/kinds/service-action-fixtures.ts'
import { openRecordingService, queuedRecordsOf } from '../aws/senders/recording-service.ts'
import type { SentRequest, ServiceAnswer } from '../aws/senders/recording-service.ts'
import { jsonError, unavailable } from '../aws/senders/service-cases.ts'
import { createRandom } from '../helpers/random.ts'
import type { Random } from '../helpers/random.ts'
import { noDelays } from '../lab/lab-fixtures.ts'
import {
  destination,
  newRecordFor,
  openTestOutbox,
  temporaryDirectory,
} from '../outbox/outbox-parts.ts'
import { hastened, textsByKey, until, withoutDuplicates } from './producer-parts.ts'

/** An outbox and a producer with a service that answers so, beside the lab's Kinesis. */
async function openDelivery(answering: (request: SentRequest) => ServiceAnswer) {
  const service = await openRecordingService(answering)
  const lab = await createLabServer({
    host: '127.0.0.1',
    port: 0,
    region: 'us-east-1',
    accountId: '000000000000',
    statusMs: noDelays,
  })
  lab.ensureStream('stream')
  const clock = hastened(50)
  const { outbox, metrics } = await openTestOutbox(temporaryDirectory(), {}, clock)
  const lines: Record<string, unknown>[] = []
  const logger = createMemoryLogger((line) => lines.push(line))
  const producer = createProducer({ ...service.aws, outbox, clock, logger, metrics })
  onTestFinished(async () => {
    await producer.stop({ drainMs: 0 })
    await outbox.close()
    await lab.close()
  })

  /** The record that an action makes of an output, at the address of the service. */
  function recordOf(definition: object, actionIndex: number, text: string, id = ''): NewRecord {
    const [made] = queuedRecordsOf(definition, [{ output: text, payload: { id } }]).made
    if (made === undefined) throw new Error('the action made no record')
    const { endpoint } = service
    return { ...made, actionIndex, destination: { ...made.destination, endpoint } }
  }

  function streamRecordOf(actionIndex: number, text: string, key: string): NewRecord {
    const to = { ...destination('stream'), endpoint: `http://127.0.0.1:${lab.port}` }
    return { ...newRecordFor(to, key, text), ruleName: 'r', actionIndex }
  }

  return { ...service, lab, lines, outbox, producer, recordOf, streamRecordOf }
}

const md5 = (text: string) => createHash('md5').update(text).digest('hex')

interface BatchEntry {
  readonly Id: string
  readonly MessageBody: string
}

/** A queue, a table and an index that throttle, fail in part, lose answers, and refuse a text. */
function createTroubledServices(random: Random) {
  const queue: string[] = []
  const writes = new Map<string, string[]>()
  const documents = new Map<string, string[]>()

  function sendBatch(entries: readonly BatchEntry[]): ServiceAnswer {
    const Failed: object[] = []
    const Successful: object[] = []
    for (const { Id, MessageBody } of entries) {
      if (MessageBody === refused) {
        Failed.push({ Id, SenderFault: true, Code: 'InvalidMessageContents', Message: 'no' })
      } else if (random(100) < 30) {
        Failed.push({ Id, SenderFault: false, Code: 'InternalError', Message: 'no' })
      } else {
        queue.push(MessageBody)
        Successful.push({ Id, MessageId: '1', MD5OfMessageBody: md5(MessageBody) })
      }
    }
    return { body: { Successful, Failed } }
  }

  function send(text: string): ServiceAnswer {
    if (text === refused) return jsonError('InvalidMessageContents')
    queue.push(text)
    return { body: { MessageId: '1', MD5OfMessageBody: md5(text) } }
  }

  function put(item: { readonly id: { S: string }; readonly payload: { N: string } }) {
    const ofKey = writes.get(item.id.S) ?? []
    writes.set(item.id.S, ofKey)
    ofKey.push(item.payload.N)
    return { body: {} }
  }

  function carryOut({ operation, parameters }: SentRequest): ServiceAnswer {
    if (operation.startsWith('PUT /')) {
      const ofDocument = documents.get(operation) ?? []
      documents.set(operation, ofDocument)
      ofDocument.push(String(parameters))
      return { body: { result: 'updated' } }
    }
    switch (operation) {
      case 'SendMessage':
        return send((parameters as { MessageBody: string }).MessageBody)
      case 'SendMessageBatch':
        return sendBatch((parameters as { Entries: BatchEntry[] }).Entries)
      case 'PutItem':
        return put((parameters as { Item: Parameters<typeof put>[0] }).Item)
      default:
        throw new Error(`nobody calls ${operation}`)
    }
  }

  function answer(request: SentRequest): ServiceAnswer {
    const luck = random(100)
    if (luck < 5) return jsonError('ThrottlingException')
    if (luck < 10) return unavailable
    const carriedOut = carryOut(request)
    return luck < 15 ? { isLost: true } : carriedOut
  }

  return { answer, queue, writes, documents }
}

const refused = '13'
const keys = ['a', 'b', 'c']
const count = 40

describe('records of several services', { timeout: 120_000 }, () => {
  test.each([1, 2, 3])(
    'none is lost, items keep their order, and the ledger balances: seed %i',
    async (seed) => {
      const services = createTroubledServices(createRandom(seed))
      const delivery = await openDelivery(services.answer)
      const { outbox, producer, lab, recordOf, streamRecordOf } = delivery
      producer.start()
      const texts = Array.from({ length: count }, (_, index) => String(index))
      const table = definitionOf('dynamoDB', dynamo)
      const queue = definitionOf('sqs', { queueUrl })
      const index = definitionOf('openSearch', {
        endpoint: 'https://search-plant.eu-west-1.es.amazonaws.com',
        index: 'i',
        type: '_doc',
        id: '${id}',
      })
      await Promise.all(
        texts.map((text) =>
          outbox.append([
            recordOf(queue, 0, text),
            ...keys.map((key) => recordOf(table, 1, text, key)),
            ...keys.map((key) => streamRecordOf(2, text, key)),
            ...keys.map((key) => recordOf(index, 3, text, key)),
          ]),
        ),
      )
      await producer.idle()

      const taken = texts.filter((text) => text !== refused)
      expect(withoutDuplicates(services.queue).toSorted()).toEqual(taken.toSorted())
      const inStream = textsByKey(lab, 'stream')
      for (const key of keys) {
        // A write whose answer was lost comes twice, before any later one of its item.
        for (const ofService of [services.writes, services.documents]) {
          const writes = ofService.get(key) ?? ofService.get(`PUT /i/_doc/${key}`) ?? []
          expect(withoutDuplicates(writes)).toEqual(texts)
          expect(writes).toEqual(writes.toSorted((left, right) => Number(left) - Number(right)))
        }
        expect(inStream.get(key)).toEqual(texts)
      }
      const nothing = { queued: 0, dropped: 0, handedOver: 0 }
      expect(outbox.ledger('r')).toEqual([
        { actionIndex: 0, accepted: count, delivered: count - 1, deadLettered: 1, ...nothing },
        ...[1, 2, 3].map((actionIndex) => {
          const accepted = count * keys.length
          return { actionIndex, accepted, delivered: accepted, deadLettered: 0, ...nothing }
        }),
      ])
    },
  )

  test('a role that denies PutRecordBatch gets its records one by one', async () => {
    const stream = definitionOf('firehose', { deliveryStreamName: 'f' })
    const taken: string[] = []
    const { outbox, producer, recordOf, requests } = await openDelivery(
      ({ operation, parameters }) => {
        if (operation === 'PutRecordBatch') {
          return jsonError(
            'AccessDeniedException',
            'User: u is not authorized to perform: firehose:PutRecordBatch on resource: f',
          )
        }
        const { Data } = (parameters as { Record: { Data: string } }).Record
        taken.push(Buffer.from(Data, 'base64').toString())
        return { body: { RecordId: 'r' } }
      },
    )
    const texts = Array.from({ length: 30 }, (_, index) => String(index))
    await outbox.append(texts.map((text) => recordOf(stream, 0, text)))
    producer.start()
    await producer.idle()
    expect(taken.toSorted()).toEqual(texts.toSorted())
    const batches = requests.filter(({ operation }) => operation === 'PutRecordBatch')
    expect(batches.length).toBe(1)
  })

  test('records of a kind that this release does not send wait, and the others go on', async () => {
    const { outbox, producer, lab, lines, recordOf, streamRecordOf } = await openDelivery(
      () => ({}),
    )
    const record = recordOf(definitionOf('sqs', { queueUrl }), 0, '1')
    // As a later release has left it.
    const unknown = { ...record.destination, kind: 'later' } as unknown as Destination
    await outbox.append([{ ...record, destination: unknown }, streamRecordOf(1, '2', 'a')])
    producer.start()
    await until(() => outbox.size().records === 1 && lines.some(({ advice }) => advice))
    expect(textsByKey(lab, 'stream').get('a')).toEqual(['2'])
    expect(outbox.ledger('r')).toMatchObject([{ queued: 1 }, { delivered: 1 }])
    expect(lines.find(({ advice }) => advice)).toMatchObject({
      reason: 'this release of Sluice does not send to later',
      advice: expect.stringContaining('the records wait') as string,
    })
  })
})

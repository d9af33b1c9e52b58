import { isDeepStrictEqual } from 'node:util'
import * as fc from 'fast-check'
import { expect, test } from 'vitest'
import { createKeptLog } from '../../../src/ingress/kept/kept-log.ts'
import type { KeptChanges } from '../../../src/ingress/kept/kept-log.ts'
import type { KeptStore } from '../../../src/ingress/kept/kept-store.ts'
import { createManualClock } from '../../helpers/manual-clock.ts'
import { settle, until } from '../helpers.ts'
import { newFolder, startKept } from './kept-parts.ts'

/** A disk that fails when it is told to. */
function createDisk() {
  const rows = new Map<string, Buffer>()
  const commits: KeptChanges[] = []
  const disk = {
    rows,
    commits,
    isFull: false,
    /** A commit waits for it. */
    held: Promise.resolve(),
    hold(): () => void {
      let release: (() => void) | undefined
      disk.held = new Promise((resolve) => (release = resolve))
      return () => release?.()
    },
    write: async (changes: KeptChanges) => {
      await new Promise((resolve) => setImmediate(resolve))
      await disk.held
      if (disk.isFull) throw new Error('no space left on device')
      commits.push(changes)
      for (const [table, changed] of changes) {
        for (const [id, row] of changed) {
          if (row === undefined) rows.delete(`${table} ${id}`)
          else rows.set(`${table} ${id}`, row)
        }
      }
    },
  }
  return disk
}

function startLog() {
  const clock = createManualClock()
  const disk = createDisk()
  const failures: unknown[] = []
  const onFailed = (thrown: unknown) => void failures.push(thrown)
  const log = createKeptLog({ clock, write: disk.write, onFailed }, { lastId: 0 })
  return { clock, disk, failures, log }
}

async function startBroker() {
  const { clock, disk, log, failures } = startLog()
  const store: KeptStore = {
    log,
    contents: { messages: new Map(), queue: [], retained: [], sessions: [] },
    close: () => log.close(),
  }
  const broker = await startKept(await newFolder(), { store })
  const publisher = await broker.open({ clientId: 'publisher', clean: true })
  /** Resolves when so many rows are left. */
  const untilRows = (count: number) =>
    until(() => {
      clock.advance(1_000)
      return disk.rows.size === count
    })
  return { broker, disk, failures, publisher, untilRows }
}

test('whatever changes and fails, the disk has what was flushed, and in the end everything', async () => {
  const step = fc.oneof(
    fc.record({ kind: fc.constant('put' as const), id: fc.nat(5), value: fc.nat(255) }),
    fc.record({ kind: fc.constant('remove' as const), id: fc.nat(5) }),
    fc.record({ kind: fc.constant('flush' as const), isFull: fc.boolean() }),
    fc.constant({ kind: 'wait' as const }),
  )
  await fc.assert(
    fc.asyncProperty(fc.array(step, { maxLength: 30 }), async (steps) => {
      const { clock, disk, log } = startLog()
      const expected = new Map<string, Buffer>()
      const wrong: unknown[] = []
      for (const each of steps) {
        if (each.kind === 'put') {
          const row = Buffer.from([each.value])
          log.put('queue', each.id, row)
          expected.set(`queue ${each.id}`, row)
        } else if (each.kind === 'remove') {
          log.remove('queue', each.id)
          expected.delete(`queue ${each.id}`)
        } else if (each.kind === 'flush') {
          disk.isFull = each.isFull
          log.put('queue', 6, Buffer.from('flushed'))
          expected.set('queue 6', Buffer.from('flushed'))
          const before = new Map(expected)
          const outcome = await log.flushed().then(
            () => 'flushed',
            () => 'failed',
          )
          const isRight = each.isFull
            ? outcome === 'failed'
            : outcome === 'flushed' && isDeepStrictEqual(disk.rows, before)
          if (!isRight) wrong.push(each)
        } else clock.advance(20)
      }
      disk.isFull = false
      await log.close()
      expect(wrong).toEqual([])
      expect(disk.rows).toEqual(expected)
    }),
    { numRuns: 60 },
  )
})

test('changes of one turn share a commit, and those that nobody waits for come a little later', async () => {
  const { clock, disk, log } = startLog()
  log.put('sessions', 1, Buffer.from('one'))
  log.put('sessions', 1, Buffer.from('again'))
  log.put('sessions', 2, Buffer.from('two'))
  await settle()
  expect(disk.commits).toHaveLength(0)
  clock.advance(20)
  await until(() => disk.rows.size === 2)
  expect(disk.rows.get('sessions 1')?.toString()).toBe('again')
  const waits = [1, 2, 3].map((id) => {
    log.put('queue', id, Buffer.from('row'))
    return log.flushed()
  })
  expect(new Set(waits).size).toBe(1)
  await Promise.all(waits)
  expect(disk.commits).toHaveLength(2)
})

test('a message that nobody keeps is not written, beside sessions that keep others', async () => {
  const { broker, disk, publisher } = await startBroker()
  const session = await broker.open()
  await session.subscribe({ topic: 'kept/#' }, { topic: 'never/#', qos: 0 })
  const before = disk.commits.length
  for (const topic of ['other', 'never/a']) await publisher.publish(topic, 'x')
  publisher.send({
    cmd: 'publish',
    topic: 'kept/a',
    payload: '0',
    qos: 0,
    dup: false,
    retain: false,
  })
  expect((await session.next('publish')).topic).toBe('never/a')
  expect((await session.next('publish')).topic).toBe('kept/a')
  expect(disk.commits).toHaveLength(before)
  await publisher.publish('kept/a', 'x')
  expect(disk.commits).toHaveLength(before + 1)
})

test.each([
  { what: 'a message for a session', message: {} },
  { what: 'a retained message', message: { retain: true } },
  { what: 'a message of QoS 2', message: { qos: 2 as const } },
])(
  '$what on a full disk ends the connection without an answer, and nothing of it stays',
  async ({ message }) => {
    const { broker, disk, publisher, failures, untilRows } = await startBroker()
    const session = await broker.open()
    await session.subscribe()
    const rows = disk.rows.size
    disk.isFull = true
    await expect(publisher.publish('kept/a', 'lost', message)).rejects.toThrow('connection closed')
    expect(failures).not.toEqual([])
    expect(broker.ingress.retained('kept/a')).toBeUndefined()
    disk.isFull = false
    const other = await broker.open({ clientId: 'other', clean: true })
    await other.publish('kept/b', 'taken')
    expect(await session.take(1)).toEqual(['taken'])
    await untilRows(rows)
  },
)

test.each([4, 5] as const)(
  'a SUBSCRIBE of version %s on a full disk ends the connection without SUBACK',
  async (version) => {
    const { broker, disk } = await startBroker()
    const session = await broker.open({ version })
    disk.isFull = true
    await expect(session.subscribe()).rejects.toThrow('connection closed')
    disk.isFull = false
  },
)

test('a message whose publisher goes before its answer leaves nothing', async () => {
  const { broker, disk, publisher, untilRows } = await startBroker()
  const session = await broker.open()
  await session.subscribe()
  const rows = disk.rows.size
  const release = disk.hold()
  const message = { topic: 'kept/a', payload: 'x', qos: 1, dup: false, retain: true } as const
  publisher.send({ cmd: 'publish', messageId: 1, ...message })
  await settle()
  await publisher.reset()
  await settle()
  release()
  await until(() => disk.rows.size > rows)
  await untilRows(rows)
  expect(broker.ingress.retained('kept/a')).toBeUndefined()
})

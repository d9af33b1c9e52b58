import { describe, expect, onTestFinished, test, vi } from 'vitest'
import { writeRunningEngine } from '../../src/app/running-engine.ts'
import { createProgram } from '../../src/cli/program.ts'
import { temporaryFolder } from '../consumers/consumer-parts.ts'
import { createTestHost } from '../helpers/test-host.ts'
import { messageWith } from '../helpers/messages.ts'
import { admin, startGuarded } from '../http/guarded-server.ts'
import type { TestKey } from '../http/guarded-server.ts'
import { connectRaw, startIngress } from '../ingress/helpers.ts'
import { startServer } from '../http/http-fixtures.ts'
import type { StartedServer } from '../http/http-fixtures.ts'
import { openStore, roleArn } from '../rules/rule-fixtures.ts'
import { parsePayload } from '../../src/rules/payload.ts'

const watcher: TestKey = {
  accessKeyId: 'WATCHER',
  secretAccessKey: 'secret-of-the-watcher',
  statement: { Effect: 'Allow', Action: 'sluice:WatchMessages', Resource: '*' },
}

/** A rule whose action fails: each of its messages becomes a dead letter. */
const broken = {
  sql: "SELECT * FROM 'a/b' WHERE n > 0",
  actions: [{ kinesis: { streamName: '${topic()}', partitionKey: 'k', roleArn } }],
}

/** `sluice` with these words, for a server that the data folder names. */
async function commandsFor({ port }: Pick<StartedServer, 'port'>, isSigned: boolean) {
  const dataDir = temporaryFolder()
  await writeRunningEngine(dataDir, 'lab', {
    http: { host: '127.0.0.1', port, tls: false },
    region: 'eu-central-1',
    processId: process.pid,
    credentialsFile: isSigned ? 'credentials.json' : undefined,
  })
  return (...words: string[]) => {
    const host = createTestHost({ SLUICE_DATA_DIR: dataDir })
    const done = createProgram(host).parseAsync(words, { from: 'user' })
    onTestFinished(() => host.stop())
    return { ...host, done }
  }
}

async function openServer() {
  const store = await openStore()
  await store.store.create('broken', parsePayload(broken), {})
  const server = await startServer({ store })
  const run = await commandsFor(server, false)
  const output = async (...words: string[]) => {
    const { done, written } = run(...words)
    await done
    return written.stdout
  }
  return { ...server, run, output }
}

function useKey({ accessKeyId, secretAccessKey }: TestKey): void {
  vi.stubEnv('AWS_ACCESS_KEY_ID', accessKeyId)
  vi.stubEnv('AWS_SECRET_ACCESS_KEY', secretAccessKey)
  onTestFinished(() => void vi.unstubAllEnvs())
}

describe('sluice dead-letters', () => {
  test('lists, shows, replays and deletes', async () => {
    const { engine, output, run } = await openServer()
    expect(await output('dead-letters', 'list')).toBe('')
    for (const n of [1, 2]) await engine.ingest(messageWith({ payload: { n } }))
    const list = await output('dead-letters', 'list')
    expect(list.split('\n').map((line) => line.slice(0, 1))).toEqual(['1', '2', ''])
    expect(list).toMatch(/broken actions\[0\] {2}a\/b {2}\w+: .*"a\/b" is not a stream name/)
    const limited = run('dead-letters', 'list', '--limit', '1', '--json')
    await limited.done
    expect(JSON.parse(limited.written.stdout)).toMatchObject({ id: '1', ruleName: 'broken' })
    expect(limited.written.stderr).toBe('there are more: --limit says how many are listed\n')
    expect(await output('dead-letters', 'show', '2')).toMatch(
      /^id +2\nrule +broken actions\[0\]\n[^]*payload +\{"n":2\}\n$/,
    )
    expect(await output('dead-letters', 'replay', '--all')).toBe('0 are sent again, 2 are kept\n')
    expect(await output('dead-letters', 'delete', '1', '2')).toBe('1 is deleted\n2 is deleted\n')
    await expect(output('dead-letters', 'show', '2')).rejects.toThrow('there is no dead letter 2')
  })
})

test('sluice clients lists, shows and disconnects', async () => {
  const { ingress, port } = await startIngress()
  const run = await commandsFor(await startServer({ dependencies: { broker: ingress } }), false)
  const output = async (...words: string[]) => {
    const { done, written } = run('clients', ...words)
    await done
    return written.stdout
  }
  expect(await output()).toBe('no such client is connected\n')
  const pump = await connectRaw(port, { clientId: 'pump', clean: false })
  await connectRaw(port, { clientId: 'valve\u001b' })
  pump.send({ cmd: 'subscribe', messageId: 1, subscriptions: [{ topic: 'a/+', qos: 1 }] })
  await pump.next()
  expect(await output()).toMatch(
    /^client +MQTT .*\npump +3\.1\.1 tcp +127\.0\.0\.1 +\d s +1( +0){4}\nvalve\\x1b .*\n$/,
  )
  expect(JSON.parse(await output('--topic', 'a/1', '--json'))).toMatchObject({ clientId: 'pump' })
  expect(await output('pump')).toMatch(/waits 3,600 s[^]*\nsubscribed +a\/\+ with QoS 1\n$/)
  expect(await output('pump', '--disconnect')).toBe('pump is disconnected\n')
  await expect(output('pump')).rejects.toThrow('no client pump is connected')
  await expect(output('--disconnect')).rejects.toThrow('--disconnect needs the id of a client')
})

test('sluice cluster status shows nodes and log, and ends with 1 when something is wrong', async () => {
  const state = { problems: ['NATS server nats-1 is offline.'] }
  const clusterStatus = async () => ({
    cluster: 'plant',
    node: 'edge-1-a',
    nodes: [
      { node: 'edge-1-a', host: 'edge-1', release: '0.1.0', silentMs: 0.4, lanesOwned: 1 },
      { node: 'old', silentMs: 2_500, lanesOwned: 0 },
    ],
    lanes: [
      { lane: 0, owner: 'edge-1-a', records: 1_200, bytes: 9, silentMs: 1 },
      { lane: 1, owner: undefined, records: 34, bytes: 9, silentMs: 1 },
    ],
    log: {
      stream: 'SLUICE_plant',
      leader: 'nats-0',
      followers: [{ server: 'nats-1', isOnline: false, isCurrent: false, lag: 4 }],
      replicas: 3,
      bytes: 1,
      bytesMax: 1_073_741_824,
      connectedTo: { server: 'nats-0', version: '2.15.2' },
    },
    problems: state.problems,
  })
  const run = await commandsFor(await startServer({ dependencies: { clusterStatus } }), false)
  const bad = run('cluster', 'status')
  await bad.done
  expect(bad.written.stdout).toBe(`cluster plant

  node    release  up  heard  lanes  records waiting
* edge-1    0.1.0   ?    0 s      1            1,200
  old           ?   ?    2 s      0                0

lanes  1 of 2 have an owner; 1,234 records wait
log    SLUICE_plant led by nats-0, nats-1 offline
       1 MiB of 1,024 MiB, NATS 2.15.2

NATS server nats-1 is offline.
`)
  expect(bad.exitCode()).toBe(1)
  state.problems = []
  const good = run('cluster', 'status', '--json')
  await good.done
  expect(good.exitCode()).toBe(0)
  expect(JSON.parse(good.written.stdout)).toMatchObject({ nodes: [{ silentMs: 0 }, {}] })
  const alone = await commandsFor(await startServer(), false)
  await expect(alone('cluster', 'status').done).rejects.toThrow('is no part of a cluster')
})

test('sluice stats counts what became of messages, and says what waits', async () => {
  const { engine, output } = await openServer()
  for (const n of [0, 1]) await engine.ingest(messageWith({ payload: { n } }))
  const text = await output('stats')
  expect(text.replace(/\d{4}-\S+Z/, '<time>')).toBe(
    [
      'rule    matched  unmatched  failed',
      'broken        1          1       0',
      '',
      'action    accepted  delivered  queued  dead letters  dropped  handed over  not carried out',
      'broken 0         1          0       0             1        0            0                1',
      '',
      'last failure of broken 0, <time>, nothing was made of the message: ' +
        'actions[0].kinesis.streamName: "a/b" is not a stream name: ' +
        '1 to 128 letters, digits, ".", "_" or "-"',
      '',
      'no record waits for delivery',
      '',
      '0 records wait; 1 dead letters are held',
      '',
    ].join('\n'),
  )
  expect(JSON.parse(await output('stats', 'broken', '--json'))).toMatchObject({
    rules: [{ ruleName: 'broken', evaluations: { matched: 1 } }],
    outbox: { records: 0 },
  })
  await expect(output('stats', 'absent')).rejects.toThrow('ResourceNotFoundException')
})

describe('sluice watch', () => {
  test('prints the way of a message, signed, with what a policy allows', async () => {
    const store = await openStore()
    await store.store.create('broken', parsePayload(broken), {})
    const server = await startGuarded({ keys: [admin, watcher], store })
    const run = await commandsFor(server, true)
    useKey(watcher)
    const watching = run('watch', '--rule', 'broken')
    const { written } = watching
    await vi.waitFor(() => expect(written.stderr).toContain('Ctrl-C ends'))
    await vi.waitFor(async () => {
      await server.engine.ingest(messageWith({ payload: { n: 0 } }))
      expect(written.stdout).not.toBe('')
    })
    await server.engine.ingest(messageWith({ payload: { n: 1 } }))
    await vi.waitFor(() => expect(written.stdout).toContain('on disk'))
    watching.stop()
    await watching.done
    expect(written.stdout).toContain(' broken does not match: n > 0 is false (n is 0)\n')
    expect(written.stdout).toMatch(/broken -> kinesis failed: .*is not a stream name/)
    for (const words of [['stats'], ['watch', '--payloads']]) {
      await expect(run(...words).done).rejects.toThrow('AccessDeniedException')
    }
  })

  test('says when the engine has gone, and that a key is wrong or missing', async () => {
    const server = await startGuarded({ keys: [admin] })
    const run = await commandsFor(server, true)
    useKey(watcher)
    await expect(run('watch').done).rejects.toThrow('UnrecognizedClientException')
    useKey(admin)
    const { done, written } = run('watch', '--payloads', '--json')
    await vi.waitFor(() => expect(written.stderr).toContain('Ctrl-C ends'))
    await vi.waitFor(async () => {
      await server.engine.ingest(messageWith())
      expect(written.stdout).toMatch(/^\{"event":"message","messageId":.*"payload":/)
    })
    await server.close()
    await done
    expect(written.stderr).toMatch(/has ended\n$/)
    await expect(run('watch').done).rejects.toThrow('cannot reach the engine')
  })

  test('without an engine it says how to run one', async () => {
    const host = createTestHost({ SLUICE_DATA_DIR: temporaryFolder() })
    await expect(createProgram(host).parseAsync(['watch'], { from: 'user' })).rejects.toThrow(
      'no lab or engine runs on',
    )
  })
})

import { mkdir, writeFile } from 'node:fs/promises'
import path from 'node:path'
import { connectAsync } from 'mqtt'
import { expect, onTestFinished, test } from 'vitest'
import { startSluice, temporaryFolder } from '../helpers/sluice-process.ts'
import { commitsOf } from '../helpers/lmdb-commits.ts'
import { canTrace, hexBytes, traceNode } from '../helpers/system-calls.ts'
import type { SystemCall } from '../helpers/system-calls.ts'

/** Of each kind. */
const messages = 12
const timeoutMs = 120_000

const publishes = [
  { of: 'a record', topic: 'flushed/it', retain: false, file: '/outbox/data.mdb' },
  { of: 'a retained message', topic: 'kept/retained', retain: true, file: '/kept/data.mdb' },
  { of: 'a message for a session', topic: 'kept/queued', retain: false, file: '/kept/data.mdb' },
  {
    of: 'a shadow',
    topic: '$aws/things/flushed/shadow/update',
    retain: false,
    file: '/shadows/data.mdb',
  },
] as const

/** `kill -9` does not prove a flush: the kernel keeps what a killed process has written. */
test.skipIf(!canTrace)(
  'PUBACK is written after the commit of its message is flushed to disk (needs strace)',
  async () => {
    const folder = await temporaryFolder()
    const traced = traceNode(folder.path)
    const sluice = await startEngine(folder.path, traced.node)
    onTestFinished(async () => {
      sluice.kill('SIGKILL')
      await sluice.ended
      await folder.remove()
    })
    const ports = await sluice.ready()
    const url = `mqtt://127.0.0.1:${String(ports['mqtt'])}`
    const session = await connectAsync(url, { clientId: 'session', clean: false })
    await session.subscribeAsync('kept/queued', { qos: 1 })
    await session.endAsync()
    const client = await connectAsync(url)
    const packetIds: number[] = []
    client.on('packetsend', (packet) => {
      if (packet.cmd === 'publish') packetIds.push(packet.messageId ?? 0)
    })
    const sent = publishes.flatMap((each) =>
      Array.from({ length: messages }, (_, n) => ({ ...each, payload: payloadOf(each.of, n) })),
    )
    for (const { topic, payload, retain } of sent) {
      await client.publishAsync(topic, payload, { qos: 1, retain })
    }
    await client.endAsync()
    sluice.kill('SIGTERM')
    expect(await sluice.ended).toBe(0)

    const calls = await traced.calls()
    const outcomes = sent.map(({ of, file, payload }, index) => {
      const { read, acknowledged } = wayOf(calls, payload, packetIds[index] ?? 0)
      const isFlushed = commitsOf(calls, file).isBetween(read, acknowledged)
      return { of, isRead: !!read, isAcknowledged: !!acknowledged, isFlushed }
    })
    expect(outcomes).toEqual(
      sent.map(({ of }) => ({ of, isRead: true, isAcknowledged: true, isFlushed: true })),
    )
  },
  timeoutMs,
)

const payloadOf = (of: string, n: number) =>
  JSON.stringify({ state: { reported: { message: `${of} ${n}` } } })

/** The calls that read a PUBLISH and write its PUBACK. */
function wayOf(calls: readonly SystemCall[], payload: string, packetId: number) {
  const puback = hexBytes(0x40, 2, packetId >> 8, packetId & 0xff)
  const read = calls.find(
    (call) => call.name.startsWith('read') && call.arguments.includes(hexText(payload)),
  )
  const acknowledged = calls.find(
    (call) =>
      (call.name.startsWith('write') || call.name.startsWith('send')) &&
      call.arguments.includes(puback),
  )
  return { read, acknowledged }
}

const hexText = (text: string) => hexBytes(...Buffer.from(text))
async function startEngine(folder: string, node: string) {
  const rulesDir = path.join(folder, 'rules')
  await mkdir(rulesDir)
  const roleArn = 'arn:aws:iam::000000000000:role/write'
  const kinesis = { roleArn, streamName: 'flushed', partitionKey: 'one' }
  const rule = { sql: "SELECT * FROM 'flushed/#'", actions: [{ kinesis }] }
  await writeFile(path.join(rulesDir, 'all.json'), JSON.stringify(rule))
  return startSluice(
    ['lab'],
    {
      SLUICE_DATA_DIR: path.join(folder, 'data'),
      SLUICE_RULES_DIR: rulesDir,
      SLUICE_FUNCTIONS_DIR: path.join(folder, 'functions'),
    },
    { cwd: folder, node },
  )
}

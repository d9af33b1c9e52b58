/** An event source mapping over three engines on NATS servers, of which one is killed. */
import {
  CreateEventSourceMappingCommand,
  DeleteEventSourceMappingCommand,
  GetEventSourceMappingCommand,
  LambdaClient,
  ListEventSourceMappingsCommand,
  UpdateEventSourceMappingCommand,
} from '@aws-sdk/client-lambda'
import { KinesisClient } from '@aws-sdk/client-kinesis'
import { mkdir, readFile, writeFile } from 'node:fs/promises'
import path from 'node:path'
import { describe, expect, onTestFinished, test } from 'vitest'
import { systemClock } from '../../../src/base/clock.ts'
import { createLabServer } from '../../../src/lab/server/lab-server.ts'
import { numbered, putTexts } from '../../consumers/consumer-parts.ts'
import { temporaryFolder } from '../../helpers/sluice-process.ts'
import { callingLab, region, startEngine, until } from './cluster-engine.ts'
import { findNatsServer } from './find-nats-server.ts'
import { startNatsServers } from './nats-servers.ts'

const program = await findNatsServer()
const why = program.isFound ? '' : ` nats-server cannot be had: ${program.reason}`
const accountId = '210987654321'
const credentials = { accessKeyId: 'any', secretAccessKey: 'any' }
const pauseMs = 50

async function startLab() {
  const lab = await createLabServer({ host: '127.0.0.1', port: 0, region, accountId })
  onTestFinished(() => lab.close())
  const endpoint = `http://127.0.0.1:${lab.port}`
  const kinesis = new KinesisClient({ region, endpoint, credentials })
  onTestFinished(() => kinesis.destroy())
  lab.ensureStream('s', 6)
  return { kinesis, endpoint }
}

interface Handled {
  readonly pid: number
  readonly shardId: string
  readonly sequenceNumber: bigint
  readonly text: string
}

/** A folder with the function `f`, which notes the records that it has handled. */
async function functionsFolder() {
  const folder = await temporaryFolder()
  onTestFinished(() => folder.remove())
  const file = path.join(folder.path, 'handled')
  const functions = path.join(folder.path, 'functions')
  await mkdir(functions)
  await writeFile(file, '')
  const module = `
    import { appendFileSync } from 'node:fs'
    export const handler = async ({ Records }) => {
      const lines = Records.map(({ eventID, kinesis }) =>
        [process.pid, ...eventID.split(':'), Buffer.from(kinesis.data, 'base64')].join(' ') + '\\n')
      appendFileSync(${JSON.stringify(file)}, lines.join(''))
    }`
  await writeFile(path.join(functions, 'f.mjs'), module)
  return {
    functions,
    handled: async (): Promise<readonly Handled[]> => {
      const lines = (await readFile(file, 'utf8')).split('\n').slice(0, -1)
      return lines.map((line) => {
        const [pid, shardId = '', number = '', text = ''] = line.split(' ')
        return { pid: Number(pid), shardId, sequenceNumber: BigInt(number), text }
      })
    },
  }
}

async function startNode(natsUrl: string, endpoint: string, functions: string) {
  const variables = { ...callingLab(endpoint), SLUICE_FUNCTIONS_DIR: functions }
  const { sluice, url } = await startEngine(natsUrl, variables)
  const lambda = new LambdaClient({ endpoint: url, region, credentials, maxAttempts: 1 })
  onTestFinished(() => lambda.destroy())
  const { pid = 0 } = sluice
  return {
    sluice,
    lambda,
    pid,
    shown: async (UUID: string) => {
      const { State, LastProcessingResult, BatchSize } = await lambda.send(
        new GetEventSourceMappingCommand({ UUID }),
      )
      return { State, LastProcessingResult, BatchSize }
    },
  }
}

/** What was handled again, and what came for the first time after what is behind it. */
function findings(handled: readonly Handled[]) {
  const first = new Map<string, Handled>()
  const last = new Map<string, bigint>()
  const again: Handled[] = []
  const disordered: string[] = []
  for (const each of handled) {
    const before = first.get(each.text)
    if (before) {
      again.push(before)
      continue
    }
    first.set(each.text, each)
    if (each.sequenceNumber < (last.get(each.shardId) ?? 0n)) disordered.push(each.text)
    last.set(each.shardId, each.sequenceNumber)
  }
  return { first, again, disordered }
}

describe.skipIf(!program.isFound)(`a mapping of a cluster${why}`, () => {
  if (!program.isFound) return
  const { file } = program

  test('hands every record over in order while nodes are killed and stopped', async () => {
    const servers = await startNatsServers(file)
    onTestFinished(() => servers.stop())
    const { kinesis, endpoint } = await startLab()
    const { functions, handled } = await functionsFolder()
    const start = () => startNode(servers.url, endpoint, functions)
    const [one, killed, stopped] = await Promise.all([start(), start(), start()])
    const nodes = [one, killed, stopped]
    const { UUID = '' } = await one.lambda.send(
      new CreateEventSourceMappingCommand({
        EventSourceArn: `arn:aws:kinesis:${region}:${accountId}:stream/s`,
        FunctionName: 'f',
        StartingPosition: 'TRIM_HORIZON',
        BatchSize: 20,
      }),
    )
    let count = 0
    const put = async () => {
      await putTexts(kinesis, 's', numbered(20, count), (text) => text)
      count += 20
      await systemClock.sleep(pauseMs)
    }
    const hasAll = async () => findings(await handled()).first.size === count
    /** Every live node has two of the six shards. */
    const isShared = async () => {
      await put()
      const recent = (await handled()).slice(-400)
      return nodes.every(
        ({ pid }) =>
          new Set(recent.flatMap((each) => (each.pid === pid ? each.shardId : []))).size > 1,
      )
    }
    await until(isShared)
    const shown = { State: 'Enabled', LastProcessingResult: 'OK', BatchSize: 20 }
    for (const node of nodes) expect(await node.shown(UUID)).toEqual(shown)
    await until(hasAll)
    const before = findings(await handled())
    expect(before.disordered).toEqual([])

    for (let round = 0; round < 20; round++) await put()
    killed.sluice.kill('SIGKILL')
    await killed.sluice.ended
    for (let round = 0; round < 20; round++) await put()
    const lostMs = await until(hasAll)
    // The lease and five seconds.
    expect(lostMs).toBeLessThan(15_000)
    const ofKilled = findings(await handled())
    expect(ofKilled.disordered).toEqual([])
    // Again comes what the killed one had not noted as done, and nothing else.
    expect(ofKilled.again.every(({ pid }) => pid === killed.pid)).toBe(true)

    // A node that stops hands over at once, and nothing comes again.
    for (let round = 0; round < 10; round++) await put()
    stopped.sluice.kill('SIGTERM')
    expect(await stopped.sluice.ended).toBe(0)
    await put()
    expect(await until(hasAll)).toBeLessThan(5_000)
    const all = findings(await handled())
    expect([all.disordered, all.again.length]).toEqual([[], ofKilled.again.length])

    // A change and a deletion at one node hold for one that comes later.
    const late = await start()
    await late.lambda.send(new UpdateEventSourceMappingCommand({ UUID, BatchSize: 5 }))
    await until(async () => (await one.shown(UUID)).BatchSize === 5)
    await until(async () => (await one.shown(UUID)).State === 'Enabled')
    await put()
    await until(hasAll)
    await late.lambda.send(new DeleteEventSourceMappingCommand({ UUID }))
    for (const { lambda } of [one, late]) {
      await until(async () => {
        const { EventSourceMappings: left } = await lambda.send(
          new ListEventSourceMappingsCommand({}),
        )
        return left?.length === 0
      })
    }
  }, 120_000)
})

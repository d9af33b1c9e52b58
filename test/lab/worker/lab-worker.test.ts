import { execFile } from 'node:child_process'
import { mkdtemp, rm, symlink, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { fileURLToPath, pathToFileURL } from 'node:url'
import { promisify } from 'node:util'
import { afterAll, beforeAll, describe, expect, onTestFinished, test } from 'vitest'
import { startLabWorker } from '../../../src/lab/worker/lab-worker.ts'
import { createMemoryLogger } from '../../../src/telemetry/telemetry.ts'
import { accountId, rawCall, region, startLab } from '../lab-fixtures.ts'

const repository = fileURLToPath(new URL('../../..', import.meta.url))
const silent = createMemoryLogger(() => undefined)
const options = { host: '127.0.0.1', port: 0, region, accountId, logger: silent }

let compiledDir = ''
let startCompiled: typeof startLabWorker

beforeAll(async () => {
  compiledDir = await mkdtemp(path.join(tmpdir(), 'sluice-lab-'))
  await symlink(path.join(repository, 'node_modules'), path.join(compiledDir, 'node_modules'))
  await writeFile(path.join(compiledDir, 'package.json'), '{"type":"module"}')
  await writeFile(
    path.join(compiledDir, 'tsconfig.json'),
    JSON.stringify({
      extends: path.join(repository, 'tsconfig.build.json'),
      compilerOptions: {
        outDir: path.join(compiledDir, 'dist'),
        rootDir: path.join(repository, 'src'),
        typeRoots: [path.join(repository, 'node_modules/@types')],
        incremental: false,
        declaration: false,
      },
      include: [],
      files: [
        'lab/worker/lab-worker.ts',
        'lab/worker/lab-worker-main.ts',
        'storage/fs-native-extensions.d.ts',
      ].map((file) => path.join(repository, 'src', file)),
    }),
  )
  const compiler = path.join(repository, 'node_modules/.bin/tsc')
  await promisify(execFile)(compiler, ['-p', compiledDir])
  const compiled = pathToFileURL(path.join(compiledDir, 'dist/lab/worker/lab-worker.js')).href
  const loaded = (await import(compiled)) as { startLabWorker: typeof startLabWorker }
  startCompiled = loaded.startLabWorker
})

afterAll(() => rm(compiledDir, { recursive: true, force: true }))

describe.each([
  ['from sources', () => startLabWorker],
  ['compiled', () => startCompiled],
] as const)('the lab in a thread, %s', (_how, start) => {
  test('starts, makes streams, and stops', async () => {
    const worker = await start()({ ...options, createsMissingStreams: true, shardCount: 3 })
    await worker.ensureStream('a')
    await worker.ensureStream('a')
    const { output } = await rawCall(worker, 'DescribeStreamSummary', { StreamName: 'a' })
    expect(output).toMatchObject({ StreamDescriptionSummary: { OpenShardCount: 3 } })
    const put = { StreamName: 'b', PartitionKey: 'k', Data: '' }
    expect(await rawCall(worker, 'PutRecord', put)).toMatchObject({ status: 200 })
    await Promise.all([worker.close(), worker.close()])
    await expect(rawCall(worker, 'ListStreams', {})).rejects.toThrow('fetch failed')
    await expect(worker.ensureStream('c')).rejects.toMatchObject({ code: 'InternalException' })
  })

  test('tells of a port that is taken', async () => {
    const { port } = await startLab()
    await expect(start()({ ...options, port })).rejects.toMatchObject({
      code: 'PortUnavailable',
      message: expect.stringMatching(
        new RegExp(`^[^\\n]*127\\.0\\.0\\.1:${port} is in use[^\\n]*SLUICE_LAB_PORT[^\\n]*$`),
      ) as string,
    })
  })

  test('tells of a stream that cannot be made', async () => {
    const worker = await start()({ ...options, shardCount: 20_001 })
    onTestFinished(() => worker.close())
    await expect(worker.ensureStream('a')).rejects.toMatchObject({
      code: 'InternalException',
      message: expect.stringContaining('shard limit') as string,
    })
  })

  test('logs through the logger of its parent', async () => {
    const lines: Record<string, unknown>[] = []
    const logger = createMemoryLogger((line) => lines.push(line))
    const worker = await start()({ ...options, logger, storedBytesMax: 1, shardCount: 1 })
    await worker.ensureStream('s')
    await rawCall(worker, 'PutRecord', { StreamName: 's', PartitionKey: 'k', Data: 'AAAA' })
    await worker.close()
    expect(lines).toMatchObject([{ level: 'warn', stream: 's' }])
  })

  test('logs with one time, that of its parent', async () => {
    const fields: object[] = []
    const warn = (given: object) => void fields.push(given)
    const logger = Object.assign(
      createMemoryLogger(() => undefined),
      { warn },
    )
    const worker = await start()({ ...options, logger, storedBytesMax: 1, shardCount: 1 })
    await worker.ensureStream('s')
    await rawCall(worker, 'PutRecord', { StreamName: 's', PartitionKey: 'k', Data: 'AAAA' })
    await worker.close()
    expect(fields).toEqual([expect.not.objectContaining({ time: expect.anything() })])
  })
})

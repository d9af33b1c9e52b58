import { mkdir, readFile, rm, truncate, writeFile } from 'node:fs/promises'
import path from 'node:path'
import { createLabServer } from '../../src/lab/server/lab-server.ts'
import { expect, onTestFinished, test } from 'vitest'
import { runSluice, startSluice, temporaryFolder } from '../helpers/sluice-process.ts'
import type { SluiceProcess } from '../helpers/sluice-process.ts'

type Command = 'lab' | 'start'

/** A folder of a project, a Kinesis that stands for AWS, and both ways to run an engine in it. */
async function createProject() {
  const folder = await temporaryFolder()
  const aws = await createLabServer({
    host: '127.0.0.1',
    port: 0,
    region: 'eu-west-1',
    accountId: '210987654321',
  })
  const started: SluiceProcess[] = []
  onTestFinished(async () => {
    for (const sluice of started) {
      sluice.kill('SIGKILL')
      await sluice.ended
    }
    await aws.close()
    await folder.remove()
  })
  const endpoint = `http://127.0.0.1:${aws.port}`
  const environment = {
    AWS_REGION: 'eu-west-1',
    AWS_ACCESS_KEY_ID: 'any',
    AWS_SECRET_ACCESS_KEY: 'any',
    AWS_ENDPOINT_URL_KINESIS: endpoint,
    AWS_ENDPOINT_URL_STS: endpoint,
  }
  await mkdir(path.join(folder.path, 'rules'))
  const start = (command: Command | [Command, string], more: Record<string, string> = {}) => {
    const options = { cwd: folder.path }
    const sluice = startSluice([command].flat(), { ...environment, ...more }, options)
    started.push(sluice)
    return sluice
  }
  const refused = async (command: Command, dataDir: string) => {
    const given = { ...environment, SLUICE_DATA_DIR: dataDir }
    return runSluice([command], given, { cwd: folder.path })
  }
  return { path: folder.path, start, refused }
}

async function stop(sluice: SluiceProcess): Promise<void> {
  sluice.kill('SIGTERM')
  expect(await sluice.ended).toBe(0)
}

const formatIn = async (folder: string): Promise<unknown> =>
  JSON.parse(await readFile(path.join(folder, 'format.json'), 'utf8'))

test('a lab and an engine started in one folder keep their data apart', async () => {
  const project = await createProject()
  const [lab, engine] = [project.start('lab'), project.start('start')]
  await lab.ready()
  await engine.ready()
  expect(await formatIn(path.join(project.path, 'lab-data'))).toMatchObject({ owner: 'lab' })
  expect(await formatIn(path.join(project.path, 'data'))).toMatchObject({ owner: 'engine' })
  await stop(lab)
  await stop(engine)
})

test.each([
  ['lab', 'start', 'lab-data', /belongs to a lab.*SLUICE_DATA_DIR.*\.\/data/],
  ['start', 'lab', 'data', /belongs to an engine.*SLUICE_DATA_DIR.*\.\/lab-data/],
] as const)(
  'what `sluice %s` left behind, `sluice %s` refuses in one line',
  async (first, second, dataDir, message) => {
    const project = await createProject()
    await stop(await readied(project.start(first)))
    const { code, stdout, stderr } = await project.refused(second, dataDir)
    expect({ code, stdout }).toEqual({ code: 1, stdout: '' })
    expect(stderr).toMatch(/^sluice: [^\n]*\n$/)
    expect(stderr).toMatch(message)
    // It is refused while the other runs, too, for the same reason.
    const running = project.start(first)
    await running.ready()
    expect((await project.refused(second, dataDir)).stderr).toMatch(message)
    await stop(running)
  },
)

test('a folder of before is taken over with a log line, and a lab is told by its file', async () => {
  const project = await createProject()
  const dataDir = path.join(project.path, 'data')
  await mkdir(dataDir)
  await writeFile(path.join(dataDir, 'format.json'), '{"version":1}\n')
  await writeFile(path.join(dataDir, 'lab.json'), '{}')
  const { code, stderr } = await project.refused('start', dataDir)
  expect([code, stderr]).toEqual([1, expect.stringContaining('belongs to a lab')])

  // Its outbox is not there.
  const lost = await project.refused('lab', dataDir)
  expect([lost.code, lost.stderr]).toEqual([1, expect.stringMatching(/is lost: .*--begin-anew/)])

  const folder = await readFile(path.join(dataDir, 'format.json'), 'utf8')
  await writeFile(path.join(dataDir, 'format.json'), '{"version":1}\n')
  const lab = project.start(['lab', '--begin-anew'], { SLUICE_DATA_DIR: dataDir })
  await lab.ready()
  expect(lab.logLines).toContainEqual(
    expect.objectContaining({ level: 'warn', directory: dataDir, owner: 'lab' }),
  )
  await stop(lab)
  expect(JSON.parse(folder)).toMatchObject({ version: 4, owner: 'lab' })
  expect(await formatIn(dataDir)).toEqual({
    version: 4,
    owner: 'lab',
    environments: ['outbox', 'shadows', 'registry', 'event-source/checkpoints', 'kept'],
  })
})

test.each([
  ['outbox/data.mdb', 'lost', (file: string) => rm(file)],
  ['outbox/data.mdb', 'lost', (file: string) => rm(path.dirname(file), { recursive: true })],
  ['outbox/data.mdb', 'empty', (file: string) => truncate(file, 0)],
  ['event-source/checkpoints/data.mdb', 'lost', (file: string) => rm(file)],
  ['event-source/checkpoints/data.mdb', 'empty', (file: string) => truncate(file, 0)],
])(
  '%s that is %s is refused, and begins anew with --begin-anew alone',
  async (name, what, lose) => {
    const project = await createProject()
    const dataDir = path.join(project.path, 'data')
    const first = project.start('start', { SLUICE_DATA_DIR: dataDir })
    await first.ready()
    await stop(first)

    const file = path.join(dataDir, name)
    await lose(file)
    const { code, stderr } = await project.refused('start', dataDir)
    expect(code).toBe(1)
    expect(stderr).toMatch(new RegExp(`^sluice: ${file} is ${what}: [^\n]*--begin-anew[^\n]*\n$`))

    const anew = project.start(['start', '--begin-anew'], { SLUICE_DATA_DIR: dataDir })
    await anew.ready()
    await stop(anew)
    const again = project.start('start', { SLUICE_DATA_DIR: dataDir })
    await again.ready()
    await stop(again)
  },
)

test('an outbox that is cut short is refused in one line', async () => {
  const project = await createProject()
  const dataDir = path.join(project.path, 'data')
  const first = project.start('start', { SLUICE_DATA_DIR: dataDir })
  await first.ready()
  await stop(first)
  const file = path.join(dataDir, 'outbox', 'data.mdb')
  await truncate(file, 3 * 4_096)
  const { code, stderr } = await project.refused('start', dataDir)
  expect(code).toBe(1)
  expect(stderr).toMatch(/^sluice: [^\n]* is damaged: [^\n]*: run `sluice outbox verify [^\n]*\n$/)
})

test('a lab whose lab.json cannot be written ends with one line', async () => {
  const project = await createProject()
  await mkdir(path.join(project.path, 'lab-data', 'lab.json'), { recursive: true })
  const { code, stderr } = await project.refused('lab', 'lab-data')
  expect(code).toBe(1)
  expect(stderr).toMatch(/^sluice: [^\n]*lab\.json cannot be written[^\n]*\n$/)
})

test('`start` makes no sample, and says which rules are samples', async () => {
  const project = await createProject()
  const action = {
    streamName: 's',
    partitionKey: 'k',
    roleArn: 'arn:aws:iam::123456789012:role/sluice-write',
  }
  await writeFile(
    path.join(project.path, 'rules', 'sample.json'),
    JSON.stringify({ sql: "SELECT * FROM 'a'", actions: [{ kinesis: action }] }),
  )
  const engine = project.start('start', { SLUICE_SAMPLE_MAPPING: 'on' })
  await engine.ready()
  const warnings = engine.logLines.filter(({ level }) => level === 'warn').map(({ msg }) => msg)
  expect(warnings).toEqual(
    expect.arrayContaining([
      expect.stringMatching(/SLUICE_SAMPLE_MAPPING=on has no effect/),
      expect.stringMatching(/the rule sample names a role of the samples/),
    ]),
  )
  const { http } = await engine.ready()
  expect(typeof http).toBe('number')
  await expect(readFile(path.join(project.path, 'functions'))).rejects.toThrow(/ENOENT/)
})

async function readied(sluice: SluiceProcess): Promise<SluiceProcess> {
  await sluice.ready()
  return sluice
}

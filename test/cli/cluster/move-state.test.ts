import { mkdir, readFile, readdir, stat, writeFile } from 'node:fs/promises'
import path from 'node:path'
import { describe, expect, test } from 'vitest'
import { exportFolder, importFolder } from '../../../src/cli/cluster/move-state.ts'
import { createAccessKey } from '../../../src/identity/access-keys/access-keys.ts'
import { setPassword } from '../../../src/identity/passwords/password-file.ts'
import { createPolicyFiles } from '../../../src/identity/policies/policy-records.ts'
import { createPolicyStore } from '../../../src/identity/policies/policy-store.ts'
import { createSharedScope } from '../../../src/identity/policies/shared-policies.ts'
import { openMappingFiles } from '../../../src/event-source/mapping-files.ts'
import { settingsOfCreate } from '../../../src/event-source/mapping-request.ts'
import { createTestCluster } from '../../cluster/state/state-fixtures.ts'
import { createManualClock } from '../../helpers/manual-clock.ts'
import { openStore, payloadOf, temporaryFolder } from '../../rules/rule-fixtures.ts'
import { openTestRegistry } from '../../registry/registry-fixtures.ts'
import { createMemoryLogger } from '../../../src/telemetry/telemetry.ts'

const policy = {
  Version: '2012-10-17',
  Statement: [{ Effect: 'Allow', Action: 'iot:*', Resource: '*' }],
}

const mappingUuid = '5f6f8c9e-0000-4000-8000-000000000001'
const mapping = {
  EventSourceArn: 'arn:aws:kinesis:us-east-1:000000000000:stream/s',
  FunctionName: 'f',
  StartingPosition: 'LATEST',
  Tags: { team: 'red' },
}

/** The files of an engine that has one of everything. */
async function fullFolder(): Promise<string> {
  const folder = await temporaryFolder()
  const { store } = await openStore({ directory: path.join(folder, 'rules') })
  await store.create('r', payloadOf('a/#'), { team: 'red' })
  await store.setDelivery('later', { defaults: { ordering: 'none' } })
  const clock = createManualClock()
  const logger = createMemoryLogger(() => undefined)
  const { registry } = await openTestRegistry({ clock, logger }, folder)
  const { certificateId } = await registry.certificates.createWithKeys(true)
  await registry.things.create('t:1', { attributes: { site: 'a' } })
  await registry.things.attach('t:1', certificateId, 'EXCLUSIVE_THING')
  const policies = createPolicyStore(
    {
      clock,
      arnOf: (resource) => resource,
      reload: () => Promise.resolve(),
      onFolderMade: () => Promise.resolve(),
    },
    createPolicyFiles(path.join(folder, 'policies')),
  )
  await policies.create('p', JSON.stringify(policy), { a: 'b' })
  await policies.createVersion('p', JSON.stringify({ ...policy, Id: '2' }), true)
  await policies.attach('p', `cert:${certificateId}`)
  const cost = { logN: 14, r: 8, p: 1 }
  await setPassword(path.join(folder, 'passwords'), { user: 'Gerät 7', password: 'p', cost })
  await createAccessKey(path.join(folder, 'credentials.json'), { policy, description: 'ops' })
  const { files } = await openMappingFiles(path.join(folder, 'event-source', 'mappings'))
  const { settings, tags } = settingsOfCreate(mapping, 1_700_000_000_000)
  await files.write({ uuid: mappingUuid, settings, tags, lastModifiedMs: 1_700_000_000_000 })
  return folder
}

/** The files below a folder, except those of CAs, with their texts. */
async function textsIn(folder: string): Promise<Record<string, string>> {
  const names = await readdir(folder, { recursive: true })
  const files: Record<string, string> = {}
  for (const name of names.toSorted()) {
    const file = path.join(folder, name)
    if (name.startsWith('certs') || !(await stat(file)).isFile()) continue
    files[name] = await readFile(file, 'utf8')
  }
  return files
}

async function joinCluster(cluster = createTestCluster()) {
  const node = await cluster.join()
  const lines: string[] = []
  return { ...node, cluster, lines, print: (line: string) => void lines.push(line) }
}

test('what a folder holds comes back from the cluster as it was', async () => {
  const folder = await fullFolder()
  const node = await joinCluster()
  await importFolder(node, { folder, force: false, dryRun: false })
  expect(node.lines).toEqual([
    'certificates: 1 to be added',
    'things: 1 to be added',
    'policies: 1 to be added',
    'passwords: 1 to be added',
    'access keys: 1 to be added',
    'rules: 2 to be added',
    'event source mappings: 1 to be added; they begin at their StartingPosition, because positions ' +
      'do not go along',
    'Written to cluster test: 8 entries.',
  ])
  const other = await joinCluster(node.cluster)
  const out = path.join(await temporaryFolder(), 'new')
  await exportFolder(other, { folder: out, force: false })
  expect(await textsIn(out)).toEqual(await textsIn(folder))
  for (const secret of ['passwords', 'credentials.json']) {
    expect((await stat(path.join(out, secret))).mode & 0o777).toBe(0o600)
  }
  expect(other.lines.at(-1)).toBe(`What cluster test holds was written to ${out}.`)
})

describe('an import', () => {
  test('of what is there already writes nothing', async () => {
    const folder = await fullFolder()
    const node = await joinCluster()
    await importFolder(node, { folder, force: false, dryRun: false })
    node.lines.length = 0
    await importFolder(node, { folder, force: false, dryRun: false })
    expect(node.lines).toContain('rules: 0 to be added, 2 the same')
    expect(node.lines).toContain('event source mappings: 0 to be added, 1 the same')
    expect(node.lines.at(-1)).toBe('Written to cluster test: 0 entries.')
  })

  test('does not write over what differs, unless it is told to', async () => {
    const folder = await fullFolder()
    const node = await joinCluster()
    const view = node.state.view('rule')
    await view.put('r', JSON.stringify({ payload: 'other' }), undefined)
    await view.put('mine', JSON.stringify({ payload: '{}' }), undefined)
    await expect(importFolder(node, { folder, force: false, dryRun: false })).rejects.toMatchObject(
      {
        code: 'ClusterImportRefused',
        message:
          '1 entry differs in cluster test, and nothing was written (rules: r): ' +
          '--force writes over what differs',
      },
    )
    expect(node.cluster.store.entries.size).toBe(2)
    node.lines.length = 0
    await importFolder(node, { folder, force: true, dryRun: true })
    expect(node.lines).toContain(
      'rules: 1 would be added, 1 would be written over (r), 1 others stay',
    )
    expect(node.cluster.store.entries.size).toBe(2)
    await importFolder(node, { folder, force: true, dryRun: false })
    expect(view.get('r')?.value.toString()).toContain('a/#')
    expect(view.names()).toEqual(['later', 'mine', 'r'])
  })

  test('names every file that cannot be used, and writes nothing', async () => {
    const folder = await fullFolder()
    await writeFile(path.join(folder, 'rules', 'bad.json'), '{"sql": 1}')
    await writeFile(path.join(folder, 'policies', 'bad.meta.json'), '[]')
    await writeFile(path.join(folder, 'policies', 'bad.json'), '{}')
    await writeFile(path.join(folder, 'registry', 'things', 'bad.json'), '{}')
    await writeFile(path.join(folder, 'credentials.json'), '{}')
    await writeFile(path.join(folder, 'event-source', 'mappings', 'bad.json'), '{"uuid": "x"}')
    const node = await joinCluster()
    const refusal = await importFolder(node, { folder, force: false, dryRun: false }).then(
      () => '',
      (thrown: unknown) => (thrown as Error).message,
    )
    expect(refusal).toMatch(/^5 files cannot be used, and nothing was written:\n/)
    for (const file of [
      'rules/bad',
      'policies/bad',
      'things/bad.json',
      'credentials.json',
      'mappings/bad.json',
    ]) {
      expect(refusal).toContain(file)
    }
    expect(node.cluster.store.entries.size).toBe(0)
  })

  test('that is cut off says what was written, and goes on when it is run again', async () => {
    const folder = await fullFolder()
    const node = await joinCluster()
    const view = node.state.view('password')
    const state = {
      place: node.state.place,
      view: (kind: string) =>
        kind === 'password'
          ? { ...view, put: () => Promise.reject(new Error('cut off')) }
          : node.state.view(kind),
    }
    const cut = { ...node, state: state as typeof node.state }
    await expect(importFolder(cut, { folder, force: false, dryRun: false })).rejects.toMatchObject({
      code: 'ClusterImportIncomplete',
      message: expect.stringMatching(
        /^passwords: Gerät 7 was not written: cut off\. 3 of 8 are written \(certificates: .*, things: t:1, policies: p\)\. Run/,
      ) as string,
    })
    expect(node.cluster.store.entries.size).toBe(3)
    await importFolder(node, { folder, force: false, dryRun: false })
    expect(node.cluster.store.entries.size).toBe(8)
  })

  test('of a folder with nothing to share is refused', async () => {
    const folder = await temporaryFolder()
    const node = await joinCluster()
    await expect(importFolder(node, { folder, force: false, dryRun: false })).rejects.toMatchObject(
      {
        code: 'ClusterImportRefused',
        message: `${folder} holds nothing that a cluster shares: see docs/CLUSTER.md`,
      },
    )
  })
})

test('policies that are for registered certificates alone stay so', async () => {
  const folder = await fullFolder()
  await writeFile(path.join(folder, 'registry', 'policies-for-registered'), '/elsewhere/policies')
  const node = await joinCluster()
  await importFolder(node, { folder, force: false, dryRun: false })
  expect(createSharedScope(node.state.view('policies')).isForRegistered()).toBe(true)
  const out = await temporaryFolder()
  await exportFolder(node, { folder: out, force: false })
  const noted = await readFile(path.join(out, 'registry', 'policies-for-registered'), 'utf8')
  expect(noted).toBe(path.join(out, 'policies'))
})

test('an export of a cluster without policies makes no folder of them, which would deny', async () => {
  const node = await joinCluster()
  await node.state.view('rule').put('r', JSON.stringify({ payload: '{}' }), undefined)
  const folder = await temporaryFolder()
  await exportFolder(node, { folder, force: false })
  expect(await readdir(folder)).toEqual(['rules'])
})

test('an export does not write into a folder that is in use, unless it is told to', async () => {
  const node = await joinCluster()
  await node.state.view('rule').put('r', JSON.stringify({ payload: '{}' }), undefined)
  const folder = await temporaryFolder()
  await mkdir(path.join(folder, 'rules'))
  await writeFile(path.join(folder, 'rules', 'r.json'), '{"old": 1}')
  await expect(exportFolder(node, { folder, force: false })).rejects.toMatchObject({
    code: 'ClusterImportRefused',
    message: `${folder} is not empty, and nothing was written: --force writes over its files`,
  })
  await exportFolder(node, { folder, force: true })
  expect(await readFile(path.join(folder, 'rules', 'r.json'), 'utf8')).toBe('{}')
})

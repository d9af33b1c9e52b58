/** What a node says when the servers are not as a cluster needs them. */
import { chmod, writeFile } from 'node:fs/promises'
import path from 'node:path'
import { nkeys } from '@nats-io/transport-node'
import { DiscardPolicy } from '@nats-io/jetstream'
import { afterAll, beforeAll, describe, expect, onTestFinished, test } from 'vitest'
import { openLog } from '../../../src/cluster/log/open-log.ts'
import { openBucket } from '../../../src/cluster/nats/open-bucket.ts'
import { openNats } from '../../../src/cluster/nats/open-nats.ts'
import type { Nats } from '../../../src/cluster/nats/open-nats.ts'
import { createCertificateMaker } from '../../../src/identity/certificates/certificate-maker.ts'
import { freePorts } from '../../helpers/free-ports.ts'
import { temporaryFolder } from '../../identity/identity-fixtures.ts'
import { chunkOf, readSome, textOf } from '../log-contract.ts'
import { findNatsServer } from './find-nats-server.ts'
import { configOf, createLines, identity } from './nats-fixture.ts'
import { startNatsServers } from './nats-servers.ts'
import type { NatsServers, ServerSettings } from './nats-servers.ts'

const program = await findNatsServer()
const why = program.isFound ? '' : ` nats-server cannot be had: ${program.reason}`
const unchecked = /^nobody has checked that each NATS server has `sync_interval: always`/

/** Opens connection and log as a node does when it starts. */
async function open(
  variables: Readonly<Record<string, string>>,
  {
    signal = new AbortController().signal,
    cluster = identity,
  }: { readonly signal?: AbortSignal; readonly cluster?: Readonly<Record<string, string>> } = {},
) {
  const { lines, dependencies } = createLines()
  const config = configOf(variables)
  const nats = await openNats(dependencies, config, signal)
  onTestFinished(() => nats.close())
  const options = { cluster: config.name, identity: cluster, bytesMax: 10_000_000 }
  const log = await openLog(dependencies, nats, options, signal)
  return { nats, log, lines, dependencies }
}

describe.skipIf(!program.isFound)(`a node of a cluster${why}`, () => {
  if (!program.isFound) return
  const { file } = program

  async function startServers(settings: ServerSettings): Promise<NatsServers> {
    const servers = await startNatsServers(file, settings)
    onTestFinished(() => servers.stop())
    return servers
  }

  test.each<[string, ServerSettings, RegExp]>([
    ['JetStream is off', { jetStream: false }, /^JetStream is off: add `jetstream \{/],
    [
      'the payload is too small',
      { maxPayload: '1MB' },
      /^NATS server n0 takes messages of at most 1048576 bytes: set `max_payload: 8MB`/,
    ],
    [
      'the login is refused',
      { more: 'authorization { user: sluice, password: secret }' },
      /^NATS refused the login .*: set SLUICE_NATS_CREDENTIALS_FILE/,
    ],
    [
      'the account has no JetStream',
      {
        more: 'accounts { A { users: [{ user: a, password: b }] } }\nno_auth_user: a',
      },
      /^The NATS account has no JetStream: add `jetstream: enabled`/,
    ],
    [
      'the disk is too small',
      {
        more: 'accounts { A { jetstream: { max_file: 1MB }, users: [{ user: a, password: b }] } }\nno_auth_user: a',
      },
      /^NATS has no room for stream SLUICE_sluice of 345544320 bytes/,
    ],
    [
      'a permission is missing',
      {
        more: 'authorization { users: [{ user: a, password: b, permissions: { publish: "x" } }] }\nno_auth_user: a',
      },
      /^The NATS user lacks a permission: allow publish of \$JS\.API\.INFO/,
    ],
  ])('says what to change when %s', async (_what, settings, text) => {
    const servers = await startServers({ servers: 1, ...settings })
    await expect(open({ SLUICE_NATS_URL: servers.url })).rejects.toThrow(text)
  })

  test('warns when the server is alone, and when nobody can see whether it flushes', async () => {
    const servers = await startServers({ servers: 1 })
    const { lines, log } = await open({ SLUICE_NATS_URL: servers.url })
    expect(lines.filter((line) => unchecked.test(line))).toHaveLength(1)
    expect(lines.filter((line) => line.startsWith('the NATS server is alone'))).toHaveLength(1)
    await log.append([chunkOf('1')])
    expect((await readSome(log, 1)).map(textOf)).toEqual(['1'])
  })

  test('sees by the monitoring ports whether each server flushes', async () => {
    const right = await startServers({ servers: 1 })
    const monitors = { SLUICE_NATS_MONITOR_URL: right.monitorUrls.join(',') }
    const { lines } = await open({ SLUICE_NATS_URL: right.url, ...monitors })
    expect(lines.filter((line) => unchecked.test(line))).toEqual([])
    const wrong = await startServers({ servers: 1, syncInterval: '1m' })
    const variables = {
      SLUICE_NATS_URL: wrong.url,
      SLUICE_NATS_MONITOR_URL: wrong.monitorUrls.join(','),
    }
    await expect(open(variables)).rejects.toThrow(
      /^NATS server n0 acknowledges before it has flushed: set `sync_interval: always`/,
    )
  })

  test('waits for servers, and for as many as its stream needs', async () => {
    const [port = 0] = await freePorts(1)
    const waiting = new AbortController()
    const nobody = open({ SLUICE_NATS_URL: `nats://127.0.0.1:${port}` }, { signal: waiting.signal })
    waiting.abort()
    await expect(nobody).rejects.toMatchObject({ name: 'AbortError' })

    const servers = await startServers({})
    await Promise.all([1, 2].map((server) => servers.signal(server, 'SIGKILL')))
    const opened = open({ SLUICE_NATS_URL: servers.url, SLUICE_CLUSTER_NAME: 'late' })
    await Promise.all([1, 2].map((server) => servers.start(server)))
    const { log, lines } = await opened
    await log.append([chunkOf('1')])
    expect(lines.filter((line) => line.startsWith('waiting for'))).not.toEqual([])
  })

  test('takes TLS with a client certificate, an NKEY, and a password', async () => {
    const folder = await temporaryFolder()
    const files = await writeCertificates(folder)
    const user = nkeys.createUser()
    const seedFile = path.join(folder, 'user.nk')
    await writeFile(seedFile, user.getSeed())
    await chmod(seedFile, 0o600)
    const servers = await startServers({
      more: [
        `tls { cert_file: "${files.server}", key_file: "${files.serverKey}", ca_file: "${files.ca}", verify: true }`,
        `authorization { users: [{ nkey: ${user.getPublicKey()} }, { user: a, password: "p w" }] }`,
      ].join('\n'),
    })
    const url = servers.url.replaceAll('127.0.0.1', 'localhost')
    const tls = {
      SLUICE_NATS_URL: url,
      SLUICE_NATS_CA_FILE: files.ca,
      SLUICE_NATS_CERT_FILE: files.client,
      SLUICE_NATS_KEY_FILE: files.clientKey,
    }
    const { log } = await open({ ...tls, SLUICE_NATS_NKEY_FILE: seedFile })
    await log.append([chunkOf('by NKEY')])
    const byPassword = await open({
      ...tls,
      SLUICE_NATS_URL: url.replaceAll('nats://', 'nats://a:p%20w@'),
    })
    expect((await readSome(byPassword.log, 1)).map(textOf)).toEqual(['by NKEY'])
    const { SLUICE_NATS_CA_FILE: _, ...untrusted } = tls
    await expect(open({ ...untrusted, SLUICE_NATS_NKEY_FILE: seedFile })).rejects.toThrow(
      /^TLS with the NATS server failed .*: check SLUICE_NATS_CA_FILE/,
    )
    await writeFile(seedFile, 'SUNONSENSE')
    await expect(open({ ...tls, SLUICE_NATS_NKEY_FILE: seedFile })).rejects.toThrow(
      `${seedFile} holds no NKEY seed`,
    )
    await chmod(seedFile, 0o644)
    await expect(open({ ...tls, SLUICE_NATS_NKEY_FILE: seedFile })).rejects.toThrow(seedFile)
  })

  describe('with a stream that is there', () => {
    let servers: NatsServers
    beforeAll(async () => {
      servers = await startNatsServers(file)
    })
    afterAll(() => servers.stop())
    const variablesOf = (name: string) => ({
      SLUICE_NATS_URL: servers.url,
      SLUICE_CLUSTER_NAME: name,
    })

    async function openManager(): Promise<Nats['manager']> {
      const { nats } = await open(variablesOf('first'))
      return nats.manager
    }

    test('tells a stream that somebody else has made', async () => {
      const manager = await openManager()
      await manager.streams.add({ name: 'SLUICE_theirs', subjects: ['theirs'] })
      await expect(open(variablesOf('theirs'))).rejects.toThrow(
        'Stream SLUICE_theirs (theirs) was not made by Sluice: choose another SLUICE_CLUSTER_NAME',
      )
      await manager.streams.add({ name: 'theirs', subjects: ['sluice.overlap.>'] })
      await expect(open(variablesOf('overlap'))).rejects.toThrow(
        /^Another stream takes the subjects sluice\.overlap\.out/,
      )
    })

    test('tells two clusters of one name', async () => {
      await open(variablesOf('twice'))
      await expect(
        open(variablesOf('twice'), { cluster: { ...identity, account: '999999999999' } }),
      ).rejects.toThrow(
        'Stream SLUICE_twice belongs to a cluster with account 000000000000, not 999999999999: ' +
          'choose another SLUICE_CLUSTER_NAME',
      )
    })

    test('tells settings that somebody has changed, and raises its bytes itself', async () => {
      const manager = await openManager()
      await open(variablesOf('changed'))
      const name = 'SLUICE_changed'
      await manager.streams.update(name, { max_bytes: 70_000_000 })
      await open(variablesOf('changed'))
      expect((await manager.streams.info(name)).config.max_bytes).toBe(345_544_320)
      await manager.streams.update(name, { discard: DiscardPolicy.Old })
      await expect(open(variablesOf('changed'))).rejects.toThrow(
        'Stream SLUICE_changed has discard old: set it to new (nats stream edit)',
      )
      await manager.streams.update(name, { discard: DiscardPolicy.New, num_replicas: 1 })
      await expect(open(variablesOf('changed'))).rejects.toThrow(
        'Stream SLUICE_changed has 1 replicas',
      )
    })

    test('opens a bucket whose writers compare', async () => {
      const { nats, dependencies } = await open(variablesOf('bucket'))
      const settings = { name: 'RULES', history: 5, bytesMax: 10_000_000 }
      const options = { cluster: 'bucket', identity, bucket: settings }
      const { signal } = new AbortController()
      const bucket = await openBucket(dependencies, nats, options, signal)
      const again = await openBucket(dependencies, nats, options, signal)
      const revision = await bucket.create('rule.a', '1')
      await again.update('rule.a', '2', revision)
      await expect(bucket.update('rule.a', '3', revision)).rejects.toThrow('wrong last sequence')
      expect((await bucket.get('rule.a'))?.string()).toBe('2')
    })
  })
})

async function writeCertificates(folder: string) {
  const maker = await createCertificateMaker(Date.now())
  const authority = await maker.makeAuthority()
  const server = await maker.makeServer(authority, ['localhost', '127.0.0.1'])
  const client = await maker.makeDevice(authority, 'node')
  const write = async (name: string, text: string) => {
    const file = path.join(folder, name)
    await writeFile(file, text, { mode: 0o600 })
    return file
  }
  return {
    ca: await write('ca.pem', authority.certificatePem),
    server: await write('server.pem', server.certificatePem),
    serverKey: await write('server-key.pem', server.keyPem),
    client: await write('client.pem', client.certificatePem),
    clientKey: await write('client-key.pem', client.keyPem),
  }
}

import { X509Certificate, createHash, webcrypto } from 'node:crypto'
import { once } from 'node:events'
import { copyFile, readFile, rm, stat } from 'node:fs/promises'
import path from 'node:path'
import tls from 'node:tls'
import type { AddressInfo } from 'node:net'
import { describe, expect, onTestFinished, test } from 'vitest'
import { makeCertificateFolder } from '../../../src/identity/certificates/certificate-folder.ts'
import { identityOf, principalOf } from '../../../src/identity/policies/principal.ts'
import { temporaryFolder } from '../identity-fixtures.ts'

const makeIn = (directory: string, options: object = {}) =>
  makeCertificateFolder({
    directory,
    devices: ['d1'],
    hosts: [],
    force: false,
    nowMs: Date.now(),
    ...options,
  })

const read = (...segments: string[]) => readFile(path.join(...segments), 'utf8')
const modeOf = async (...segments: string[]) =>
  ((await stat(path.join(...segments))).mode & 0o777).toString(8)

/** A server with the folder's certificates; tells each client who it is, or why it is nobody. */
async function listen(folder: string) {
  const server = tls.createServer({
    ca: await read(folder, 'ca.pem'),
    cert: await read(folder, 'server.pem'),
    key: await read(folder, 'server-key.pem'),
    requestCert: true,
    rejectUnauthorized: false,
  })
  server.on('secureConnection', (socket) => {
    const certificate = socket.getPeerX509Certificate()
    const isVerified = socket.authorized && certificate !== undefined
    socket.end(
      JSON.stringify(isVerified ? identityOf(certificate) : { refused: socket.authorizationError }),
    )
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  onTestFinished(() => void server.close())
  return (server.address() as AddressInfo).port
}

async function connect(port: number, folder: string, options: tls.ConnectionOptions = {}) {
  const socket = tls.connect({
    port,
    host: '127.0.0.1',
    ca: await read(folder, 'ca.pem'),
    cert: await read(folder, 'devices/d1.pem'),
    key: await read(folder, 'devices/d1-key.pem'),
    ...options,
  })
  onTestFinished(() => void socket.destroy())
  let text = ''
  for await (const chunk of socket) text += String(chunk)
  return JSON.parse(text) as unknown
}

describe('the certificates of a lab', () => {
  test('let a device in over TLS, by its principal and name', async () => {
    const folder = await temporaryFolder()
    const made = await makeIn(folder, { hosts: ['broker.example'] })
    const port = await listen(folder)
    const identity = { principal: made.devices[0]?.principal, commonName: 'd1' }
    expect(await connect(port, folder)).toEqual(identity)
    expect(await connect(port, folder, { servername: 'broker.example' })).toEqual(identity)
    expect(identity.principal).toMatch(/^[0-9a-f]{64}$/)
  })

  test('let in nobody of another CA, and no client without a certificate', async () => {
    const [folder, foreign] = [await temporaryFolder(), await temporaryFolder()]
    await Promise.all([makeIn(folder), makeIn(foreign)])
    const port = await listen(folder)
    const stranger = {
      cert: await read(foreign, 'devices/d1.pem'),
      key: await read(foreign, 'devices/d1-key.pem'),
    }
    expect(await connect(port, folder, stranger)).toEqual({
      refused: 'UNABLE_TO_VERIFY_LEAF_SIGNATURE',
    })
    const nobody = await connect(port, folder, { cert: '', key: '' })
    expect(nobody).toEqual({ refused: expect.any(String) })
    const another = { ca: await read(foreign, 'ca.pem') }
    await expect(connect(port, folder, another)).rejects.toThrow(/verif|self-signed|signature/i)
  })

  test('do not let a server in as a device', async () => {
    const folder = await temporaryFolder()
    await makeIn(folder)
    const port = await listen(folder)
    const server = {
      cert: await read(folder, 'server.pem'),
      key: await read(folder, 'server-key.pem'),
    }
    expect(await connect(port, folder, server)).toEqual({ refused: 'INVALID_PURPOSE' })
  })

  test('have keys for their owner alone', async () => {
    const folder = await temporaryFolder()
    await makeIn(folder)
    for (const name of ['ca', 'server', 'devices/d1']) {
      expect([
        await modeOf(folder, `${name}-key.pem`),
        await modeOf(folder, `${name}.pem`),
      ]).toEqual(['600', '644'])
    }
  })

  test('are kept; what is missing is added; force makes all but the CA anew', async () => {
    const folder = await temporaryFolder()
    const first = await makeIn(folder)
    const second = await makeIn(folder, { devices: ['d1', 'd2'] })
    expect([second.authority, second.server, ...second.devices].map(({ state }) => state)).toEqual([
      'kept',
      'kept',
      'kept',
      'made',
    ])
    expect(second.devices[0]?.principal).toBe(first.devices[0]?.principal)

    const third = await makeIn(folder, { force: true })
    expect([third.authority.state, third.server.state, third.devices[0]?.state]).toEqual([
      'kept',
      'made',
      'made',
    ])
    expect(third.devices[0]?.principal).not.toBe(first.devices[0]?.principal)
    expect(await connect(await listen(folder), folder)).toMatchObject({ commonName: 'd1' })
  })

  test('say which hosts a server certificate that was kept does not name', async () => {
    const folder = await temporaryFolder()
    await makeIn(folder, { hosts: ['a.example', '192.0.2.1'] })
    const again = await makeIn(folder, {
      hosts: ['a.example', '192.0.2.1', 'b.example', '192.0.2.2'],
    })
    expect(again.server.hostsMissing).toEqual(['b.example', '192.0.2.2'])
  })

  test('of which a part is gone, or belongs to another key, are not mended silently', async () => {
    const folder = await temporaryFolder()
    await makeIn(folder, { devices: ['d1', 'd2'] })
    await rm(path.join(folder, 'devices/d1-key.pem'))
    await expect(makeIn(folder)).rejects.toThrow(/d1-key\.pem: is missing beside .*d1\.pem/)
    expect((await makeIn(folder, { force: true })).devices[0]?.state).toBe('made')
    await rm(path.join(folder, 'ca-key.pem'))
    await expect(makeIn(folder, { force: true })).rejects.toThrow(/ca-key\.pem: is missing/)
  })

  test('that were kept and are of no use are told apart', async () => {
    const folder = await temporaryFolder()
    const nowMs = Date.UTC(2020, 0, 1)
    await makeIn(folder, { nowMs, devices: ['d1'] })
    const valid = await makeIn(folder, { nowMs, devices: ['d1'] })
    expect([valid.server.problem, valid.devices[0]?.problem]).toEqual([undefined, undefined])
    const later = await makeIn(folder, { nowMs: Date.UTC(2023, 0, 1), devices: ['d1'] })
    expect(later.server).toMatchObject({
      state: 'kept',
      problem: expect.stringMatching(/^expired on .*2022/) as string,
    })
    expect(later.devices[0]?.problem).toBeUndefined()

    const other = await temporaryFolder()
    await makeIn(other, { nowMs })
    for (const file of ['ca.pem', 'ca-key.pem']) {
      await copyFile(path.join(other, file), path.join(folder, file))
    }
    const replaced = await makeIn(folder, { nowMs, devices: ['d1'] })
    const problem = 'was not signed by the CA of this folder'
    expect([replaced.server, ...replaced.devices]).toMatchObject([{ problem }, { problem }])
    const anew = await makeIn(folder, { nowMs, devices: ['d1'], force: true })
    expect([anew.server.problem, anew.devices[0]?.problem]).toEqual([undefined, undefined])
  })

  test('are not signed by a CA that has expired', async () => {
    const folder = await temporaryFolder()
    await makeIn(folder, { nowMs: Date.UTC(2010, 0, 1) })
    await expect(makeIn(folder)).rejects.toThrow(/ca\.pem: expired on .*2019/)
  })

  test.each(['../x', 'a/b', '', '.x', 'd-key', 'ü', 'x'.repeat(65)])(
    'have no device %j',
    async (name) => {
      const folder = await temporaryFolder()
      await expect(makeIn(folder, { devices: [name] })).rejects.toThrow(/is not a device name/)
    },
  )

  test.each(['a_b', '-a', 'a..b', '1.2.3.999', 'http://a', '*.a'])(
    'have no host %j',
    async (host) => {
      const folder = await temporaryFolder()
      await expect(makeIn(folder, { hosts: [host] })).rejects.toThrow(/is not a host name/)
    },
  )
})

describe('the principal and the common name', () => {
  test('are the SHA-256 of the DER, and the name, from whatever form', async () => {
    const folder = await temporaryFolder()
    await makeIn(folder)
    const pem = await read(folder, 'devices/d1.pem')
    const der = Buffer.from(pem.replaceAll(/-----.*-----|\s/g, ''), 'base64')
    const identity = { principal: createHash('sha256').update(der).digest('hex'), commonName: 'd1' }
    expect([identityOf(pem), identityOf(der), identityOf(new X509Certificate(pem))]).toEqual([
      identity,
      identity,
      identity,
    ])
    expect(principalOf(pem)).toBe(identity.principal)
  })

  test.each<[string, string[], string | undefined]>([
    ['the name itself', ['sensor 7/ä'], 'sensor 7/ä'],
    ['not what is made to look like another field', ['a\nCN=admin'], 'a\nCN=admin'],
    ['nor like another name', ['a, CN=admin + CN=x'], 'a, CN=admin + CN=x'],
    ['none where there are two', ['a', 'admin'], undefined],
    ['none where there is none', [], undefined],
  ])('are %s', async (_title, commonNames, expected) => {
    expect(identityOf(await certificateOf(commonNames)).commonName).toBe(expected)
  })
})

/** A certificate with these common names, signed by itself. */
async function certificateOf(commonNames: readonly string[]): Promise<string> {
  await import('reflect-metadata')
  const { X509CertificateGenerator } = await import('@peculiar/x509')
  const algorithm = { name: 'ECDSA', namedCurve: 'P-256' }
  const certificate = await X509CertificateGenerator.createSelfSigned({
    name: [{ O: ['x'] }, ...commonNames.map((name) => ({ CN: [name] }))],
    keys: await webcrypto.subtle.generateKey(algorithm, true, ['sign', 'verify']),
    signingAlgorithm: { name: 'ECDSA', hash: 'SHA-256' },
  })
  return certificate.toString('pem')
}

import { once } from 'node:events'
import { chmod, copyFile, readFile, writeFile } from 'node:fs/promises'
import type { AddressInfo } from 'node:net'
import path from 'node:path'
import tls from 'node:tls'
import { describe, expect, onTestFinished, test } from 'vitest'
import { makeCertificateFolder } from '../../../src/identity/certificates/certificate-folder.ts'
import { openTlsFiles } from '../../../src/identity/certificates/tls-files.ts'
import type { TlsMaterial } from '../../../src/identity/certificates/tls-files.ts'
import { createFileFaults } from '../../../src/storage/file-faults.ts'
import { createWatchedLog as createLog, temporaryFolder } from '../identity-fixtures.ts'

const makeIn = (directory: string, force = false) =>
  makeCertificateFolder({ directory, devices: ['d1'], hosts: [], force, nowMs: Date.now() })

/** Its clock shows the time at which the certificates are made. */
function createWatchedLog() {
  const log = createLog()
  log.clock.setWall(Date.now())
  return log
}

const read = (...segments: string[]) => readFile(path.join(...segments), 'utf8')

const filesOf = (folder: string) => ({
  certificateFile: path.join(folder, 'server.pem'),
  keyFile: path.join(folder, 'server-key.pem'),
  authorityFile: path.join(folder, 'ca.pem'),
})

const serial = (socket: tls.TLSSocket) => socket.getPeerCertificate().serialNumber

describe('the TLS files of a server', () => {
  test('are taken in as they change, and the connections that stand stay', async () => {
    const folder = await temporaryFolder()
    await makeIn(folder)
    const log = createWatchedLog()
    const server = tls.createServer((socket) => socket.on('data', (data) => socket.write(data)))
    const apply = (material: TlsMaterial) => server.setSecureContext(material)
    const files = await openTlsFiles(log, filesOf(folder), apply)
    apply(files.current())
    server.listen(0, '127.0.0.1')
    await once(server, 'listening')
    const { port } = server.address() as AddressInfo
    const open = async () => {
      const ca = await read(folder, 'ca.pem')
      const socket = tls.connect({ port, host: '127.0.0.1', ca })
      await once(socket, 'secureConnect')
      onTestFinished(() => void socket.destroy())
      return socket
    }
    onTestFinished(() => {
      files.close()
      server.close()
    })

    const before = await open()
    await makeIn(folder, true)
    expect(await log.nextLine()).toMatchObject({ msg: 'the TLS certificate was read again' })
    // The pair may have been read while its files still had the content from before.
    await expect.poll(async () => serial(await open()) !== serial(before)).toBe(true)
    before.write('still here')
    expect(String(await once(before, 'data'))).toBe('still here')
  })

  test('are not taken while key and certificate do not belong together', async () => {
    const folder = await temporaryFolder()
    await makeIn(folder)
    const log = createWatchedLog()
    const files = await openTlsFiles(log, filesOf(folder), () => {})
    onTestFinished(() => files.close())
    const { cert } = files.current()
    await copyFile(path.join(folder, 'devices/d1.pem'), path.join(folder, 'server.pem'))
    expect(await log.nextLine()).toMatchObject({
      problem: expect.stringMatching(/server-key\.pem: is not the key of .*server\.pem/),
    })
    expect(files.current().cert).toBe(cert)
  })

  test.each([
    ['a key that others may read', 'server-key.pem', 0o644, undefined, /open to others/],
    ['a key that is none', 'server-key.pem', 0o600, 'x', /server-key\.pem: /],
    ['a certificate that is none', 'server.pem', 0o644, 'x', /server\.pem: /],
    ['a CA that is none', 'ca.pem', 0o644, 'x', /ca\.pem: /],
  ])('are refused: %s', async (_name, file, mode, text, message) => {
    const folder = await temporaryFolder()
    await makeIn(folder)
    if (text !== undefined) await writeFile(path.join(folder, file), text)
    await chmod(path.join(folder, file), mode)
    const opening = openTlsFiles(createWatchedLog(), filesOf(folder), () => {})
    await expect(opening).rejects.toThrow(message)
  })

  test('that have expired, or expire while they are in force, are logged and in health', async () => {
    const folder = await temporaryFolder()
    const nowMs = Date.UTC(2020, 0, 1)
    await makeCertificateFolder({ directory: folder, devices: [], hosts: [], force: false, nowMs })
    const log = createWatchedLog()
    const { clock, lines } = log
    clock.setWall(nowMs)
    const faults = createFileFaults()
    const files = await openTlsFiles({ ...log, faults }, filesOf(folder), () => undefined)
    expect([faults.kinds(), lines]).toEqual([[], []])

    clock.setWall(Date.UTC(2023, 0, 1))
    clock.advance(60_000)
    expect(faults.kinds()).toEqual(['tlsExpired'])
    expect(lines).toMatchObject([
      {
        level: 'error',
        file: filesOf(folder).certificateFile,
        problem: expect.stringMatching(/^certificate 1 \(.*\) expired at 2022-/) as string,
      },
    ])
    clock.advance(600_000)
    expect(lines).toHaveLength(1)
    files.close()
    expect(faults.kinds()).toEqual([])

    const again = await openTlsFiles({ ...log, faults }, filesOf(folder), () => undefined)
    expect([faults.kinds(), lines.length]).toEqual([['tlsExpired'], 2])
    again.close()
    expect(faults.kinds()).toEqual([])
  })

  test('of which a part is damaged are used without it at the start, logged and in health', async () => {
    const folder = await temporaryFolder()
    await makeIn(folder)
    const other = await temporaryFolder()
    await makeIn(other)
    const [own, others] = [await read(folder, 'ca.pem'), await read(other, 'ca.pem')]
    const damaged = others.replace(/[A-Za-z0-9]{20}/, 'AAAAAAAAAAAAAAAAAAAA')
    const bundle = `${damaged}${own}${others.slice(0, 200)}`
    await writeFile(filesOf(folder).authorityFile, bundle)
    const log = createWatchedLog()
    const faults = createFileFaults()
    const files = await openTlsFiles({ ...log, faults }, filesOf(folder), () => undefined)
    onTestFinished(() => files.close())
    expect(files.current().ca).toBe(own)
    expect(faults.kinds()).toEqual(['tlsDamaged'])
    expect(log.lines.map(({ problem }) => problem)).toEqual([
      expect.stringMatching(/^certificate 1 cannot be read: /),
      'certificate 3 is cut off, or is no certificate',
    ])

    await writeFile(filesOf(folder).authorityFile, own + others)
    expect(await log.nextLine()).toMatchObject({ msg: 'the TLS certificate was read again' })
    expect([files.current().ca, faults.kinds()]).toEqual([own + others, []])

    await writeFile(filesOf(folder).authorityFile, own + damaged)
    expect(await log.nextLine()).toMatchObject({
      problem: expect.stringMatching(/certificate 2/) as string,
    })
    await expect.poll(() => log.lines.at(-1)?.['msg']).toMatch(/what it said stays$/)
    expect([files.current().ca, faults.kinds()]).toEqual([own + others, ['tlsDamaged']])
  })
})

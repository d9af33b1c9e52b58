import { once } from 'node:events'
import { chmod, copyFile, readFile, writeFile } from 'node:fs/promises'
import type { AddressInfo } from 'node:net'
import path from 'node:path'
import tls from 'node:tls'
import { describe, expect, onTestFinished, test } from 'vitest'
import { makeCertificateFolder } from '../../../src/identity/certificates/certificate-folder.ts'
import { openTlsFiles } from '../../../src/identity/certificates/tls-files.ts'
import type { TlsMaterial } from '../../../src/identity/certificates/tls-files.ts'
import { createWatchedLog, temporaryFolder } from '../identity-fixtures.ts'

const makeIn = (directory: string, force = false) =>
  makeCertificateFolder({ directory, devices: ['d1'], hosts: [], force, nowMs: Date.now() })

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
    const after = await open()
    expect(serial(after)).not.toBe(serial(before))
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
})

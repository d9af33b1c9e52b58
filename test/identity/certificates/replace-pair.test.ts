import { X509Certificate, createPrivateKey } from 'node:crypto'
import { lstat, readFile, readdir, stat } from 'node:fs/promises'
import path from 'node:path'
import { expect, test } from 'vitest'
import { makeCertificateFolder } from '../../../src/identity/certificates/certificate-folder.ts'
import { replacePair } from '../../../src/identity/certificates/replace-pair.ts'
import { temporaryFolder } from '../identity-fixtures.ts'

const make = (directory: string, options = {}) =>
  makeCertificateFolder({
    directory,
    devices: [],
    hosts: [],
    force: false,
    nowMs: Date.now(),
    ...options,
  })

const filesIn = (folder: string) => ({
  certificateFile: path.join(folder, 'server.pem'),
  keyFile: path.join(folder, 'server-key.pem'),
})

async function readPair(folder: string) {
  const { certificateFile, keyFile } = filesIn(folder)
  return {
    certificatePem: await readFile(certificateFile, 'utf8'),
    keyPem: await readFile(keyFile, 'utf8'),
  }
}

/** The serial number of a certificate whose key is beside it. */
async function workingPair(folder: string): Promise<string> {
  const { certificatePem, keyPem } = await readPair(folder)
  const certificate = new X509Certificate(certificatePem)
  expect(certificate.checkPrivateKey(createPrivateKey(keyPem))).toBe(true)
  expect((await stat(filesIn(folder).keyFile)).mode & 0o777).toBe(0o600)
  return certificate.serialNumber
}

class Cut extends Error {}

/** Replaces the pair, and cuts that off after so many steps. @returns whether it was cut off */
async function replaceUntil(folder: string, steps: number): Promise<boolean> {
  const other = await temporaryFolder()
  await make(other)
  let done = 0
  try {
    await replacePair(filesIn(folder), await readPair(other), () => {
      done += 1
      if (done === steps) throw new Cut()
    })
    return false
  } catch (thrown) {
    if (thrown instanceof Cut) return true
    throw thrown
  }
}

const names = ['ca-key.pem', 'ca.pem', 'server-key.pem', 'server.pem']

test.each([1, 2, 3, 4, 5, 6])(
  'a replacement that is cut off after step %i leaves a pair that works, and is finished',
  async (steps) => {
    const folder = await temporaryFolder()
    await make(folder)
    const before = await workingPair(folder)
    expect(await replaceUntil(folder, steps)).toBe(true)
    const between = await workingPair(folder)
    expect(between === before).toBe(steps < 4)

    const { server } = await make(folder)
    expect(server.state).toBe('kept')
    expect(await workingPair(folder)).toBe(between)
    expect((await readdir(folder)).toSorted()).toEqual(names)
    expect((await lstat(filesIn(folder).keyFile)).isFile()).toBe(true)
  },
)

test('a whole replacement has six steps, and leaves nothing behind', async () => {
  const folder = await temporaryFolder()
  await make(folder)
  const before = await workingPair(folder)
  expect(await replaceUntil(folder, 7)).toBe(false)
  expect(await workingPair(folder)).not.toBe(before)
  expect((await readdir(folder)).toSorted()).toEqual(names)
})

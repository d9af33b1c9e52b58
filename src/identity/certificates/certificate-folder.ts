import { X509Certificate, createPrivateKey } from 'node:crypto'
import { mkdir } from 'node:fs/promises'
import { isIP } from 'node:net'
import path from 'node:path'
import { invalidRequest, messageOf } from '../../base/errors.ts'
import { createCertificateMaker } from './certificate-maker.ts'
import type { CertificateMaker, KeyPairPem } from './certificate-maker.ts'
import { withFileLock } from '../../storage/file-lock.ts'
import { readIfPresent } from '../../storage/file-reads.ts'
import { principalOf } from '../policies/principal.ts'
import { invalidFile, readSecretFile } from '../../storage/secret-file.ts'
import { finishReplacement, replacePair } from './replace-pair.ts'

/**
 * The certificates of a lab, in a folder:
 *
 *   ca.pem              ca-key.pem               the CA that clients and server trust
 *   server.pem          server-key.pem           the certificate of the server
 *   devices/<name>.pem  devices/<name>-key.pem   the certificate of a device <name>
 *
 * Keys have mode 600. Existing files are kept, so a second call only adds missing ones. The CA is
 * never replaced, because every device would need the new one.
 */
export interface CertificateFolder {
  readonly authority: CertificateFiles
  readonly server: CertificateFiles & {
    /** Requested hosts that an existing server certificate does not name. */
    readonly hostsMissing: readonly string[]
  }
  readonly devices: readonly DeviceFiles[]
}

export interface CertificateFiles {
  readonly certificateFile: string
  readonly keyFile: string
  readonly state: 'made' | 'kept'
  /** Why a certificate that was kept is of no use, such as `expired on ...`. */
  readonly problem?: string | undefined
}

export interface DeviceFiles extends CertificateFiles {
  readonly name: string
  readonly principal: string
}

export interface CertificateFolderOptions {
  readonly directory: string
  readonly devices: readonly string[]
  /** Hosts of the server in addition to `ownHosts`. */
  readonly hosts: readonly string[]
  /** Replaces existing certificates of server and devices. */
  readonly force: boolean
  /** Epoch milliseconds. */
  readonly nowMs: number
}

export const ownHosts: readonly string[] = ['localhost', '127.0.0.1', '::1']
export const devicesMax = 1_000
/** A file name on every system, and no longer than a common name may be (RFC 5280, A.1). */
const deviceForm = /^[A-Za-z0-9][A-Za-z0-9_.-]{0,63}$/
const hostForm =
  /^(?=.{1,253}$)[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?(\.[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?)*$/i
const addressForm = /^[0-9a-f:.]+$/i

/**
 * Makes the missing certificates. Calls run one at a time, also across processes.
 *
 * @throws SluiceError InvalidRequestException: a name; IdentityFileInvalid: a file
 */
export async function makeCertificateFolder(
  options: CertificateFolderOptions,
): Promise<CertificateFolder> {
  const { directory } = options
  const hosts = [...new Set([...options.hosts, ...ownHosts])]
  const devices = [...new Set(options.devices)]
  checkNames(devices, hosts)
  // Certificates are public, so the folder is readable; keys have a mode of their own.
  await mkdir(directory, { recursive: true, mode: 0o755 })
  return withFileLock(path.join(directory, 'ca.pem'), () =>
    makeMissing({ ...options, hosts, devices }),
  )
}

async function makeMissing({
  directory,
  force,
  nowMs,
  hosts,
  devices: names,
}: CertificateFolderOptions): Promise<CertificateFolder> {
  const maker = createLazyMaker(nowMs)
  const filesOf = (name: string) => ({
    certificateFile: path.join(directory, `${name}.pem`),
    keyFile: path.join(directory, `${name}-key.pem`),
  })

  const authority = await obtain(filesOf('ca'), false, async () => (await maker()).makeAuthority())
  refuseExpired(authority, nowMs)
  const problemOf = ({ pair }: Obtained) => problemIn(pair, authority.pair, nowMs)
  const server = await obtain(filesOf('server'), force, async () =>
    (await maker()).makeServer(authority.pair, hosts),
  )
  const devices: DeviceFiles[] = []
  for (const name of names) {
    const device = await obtain(filesOf(path.join('devices', name)), force, async () =>
      (await maker()).makeDevice(authority.pair, name),
    )
    devices.push({
      ...device.files,
      problem: problemOf(device),
      name,
      principal: principalOf(device.pair.certificatePem),
    })
  }
  return {
    authority: authority.files,
    server: {
      ...server.files,
      problem: problemOf(server),
      hostsMissing: missingHosts(server.pair, hosts),
    },
    devices,
  }
}

interface Obtained {
  readonly files: CertificateFiles
  readonly pair: KeyPairPem
}

/** Reads a certificate and its key, or makes and writes both. */
async function obtain(
  files: Omit<CertificateFiles, 'state'>,
  force: boolean,
  make: () => Promise<KeyPairPem>,
): Promise<Obtained> {
  const { certificateFile, keyFile } = files
  await finishReplacement(files)
  if (!force) {
    const [certificatePem, key] = await Promise.all([
      readText(certificateFile),
      readSecretFile(keyFile),
    ])
    if (certificatePem !== undefined && key) {
      refuseMismatch(certificateFile, certificatePem, key.text)
      return { files: { ...files, state: 'kept' }, pair: { certificatePem, keyPem: key.text } }
    }
    if (certificatePem !== undefined)
      throw invalidFile(keyFile, `is missing beside ${certificateFile}`)
    if (key) throw invalidFile(certificateFile, `is missing beside ${keyFile}`)
  }
  const pair = await make()
  await mkdir(path.dirname(keyFile), { recursive: true, mode: 0o755 })
  await replacePair(files, pair)
  return { files: { ...files, state: 'made' }, pair }
}

function refuseMismatch(file: string, certificatePem: string, keyPem: string): void {
  try {
    if (new X509Certificate(certificatePem).checkPrivateKey(createPrivateKey(keyPem))) return
  } catch (thrown) {
    throw invalidFile(file, `it or its key cannot be read: ${messageOf(thrown)}`, thrown)
  }
  throw invalidFile(file, 'does not belong to the key beside it')
}

function refuseExpired({ files, pair }: Obtained, nowMs: number): void {
  const { validTo } = new X509Certificate(pair.certificatePem)
  if (nowMs < Date.parse(validTo)) return
  throw invalidFile(
    files.certificateFile,
    `expired on ${validTo}: move the folder away for a new CA`,
  )
}

/** Why clients refuse a certificate of this CA; undefined when they do not. */
function problemIn(
  { certificatePem }: KeyPairPem,
  authority: KeyPairPem,
  nowMs: number,
): string | undefined {
  const certificate = new X509Certificate(certificatePem)
  const { validFrom, validTo } = certificate
  if (nowMs >= Date.parse(validTo)) return `expired on ${validTo}`
  if (nowMs < Date.parse(validFrom)) return `is not valid before ${validFrom}`
  const issuer = new X509Certificate(authority.certificatePem)
  const isSigned = certificate.checkIssued(issuer) && certificate.verify(issuer.publicKey)
  return isSigned ? undefined : 'was not signed by the CA of this folder'
}

function missingHosts({ certificatePem }: KeyPairPem, hosts: readonly string[]): readonly string[] {
  const certificate = new X509Certificate(certificatePem)
  return hosts.filter((host) =>
    isIP(host) === 0
      ? certificate.checkHost(host) === undefined
      : certificate.checkIP(host) === undefined,
  )
}

function checkNames(devices: readonly string[], hosts: readonly string[]): void {
  if (devices.length > devicesMax) throw invalidRequest(`at most ${devicesMax} devices at a time`)
  const device = devices.find((name) => !deviceForm.test(name) || name.endsWith('-key'))
  if (device !== undefined) {
    throw invalidRequest(
      `${JSON.stringify(device)} is not a device name: letters, digits, - _ . and at most 64 of them`,
    )
  }
  const host = hosts.find(
    (name) => isIP(name) === 0 && (!hostForm.test(name) || addressForm.test(name)),
  )
  if (host !== undefined)
    throw invalidRequest(`${JSON.stringify(host)} is not a host name or an IP address`)
}

/** The library is loaded when there is something to make. */
function createLazyMaker(nowMs: number): () => Promise<CertificateMaker> {
  let maker: Promise<CertificateMaker> | undefined
  return () => (maker ??= createCertificateMaker(nowMs))
}

async function readText(file: string): Promise<string | undefined> {
  try {
    return (await readIfPresent(file))?.toString('utf8')
  } catch (thrown) {
    throw invalidFile(file, messageOf(thrown), thrown)
  }
}

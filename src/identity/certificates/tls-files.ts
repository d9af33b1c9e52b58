import { X509Certificate, createPrivateKey } from 'node:crypto'
import { createSecureContext } from 'node:tls'
import { messageOf } from '../../base/errors.ts'
import { readPemBundle } from './pem-bundle.ts'
import type { PemBundle } from './pem-bundle.ts'
import { createValidityWatch } from './validity-watch.ts'
import type { FileFault, FiledCertificate } from './validity-watch.ts'
import type { FileReads } from '../../storage/file-reads.ts'
import { openReloaded } from '../../storage/reloaded-file.ts'
import type { ReloadedFile, ReloadedFileDependencies } from '../../storage/reloaded-file.ts'
import {
  invalidFile,
  readPublicFile,
  readSecretFile,
  versionOfFile,
} from '../../storage/secret-file.ts'

/**
 * What a TLS server shows and trusts, from files that may be replaced while it runs: connections
 * that stand go on with what they began with. Certificate, key and CA are taken as one, so that one
 * that was replaced before the other is never in force. Files that cannot be read leave in force
 * what they said: they are tried again once a second, and health tells of it.
 */
export interface TlsFiles {
  /** PEM: the certificate chain, from the server's certificate to the last intermediate. */
  readonly certificateFile: string
  /** PEM, not encrypted, mode 600. */
  readonly keyFile: string
  /** PEM: the CAs of client certificates. Absent: clients are asked for no certificate. */
  readonly authorityFile?: string | undefined
}

/** In the form of `tls.createServer` and `server.setSecureContext`. */
export interface TlsMaterial {
  readonly cert: string
  readonly key: string
  readonly ca?: string | undefined
}

interface TlsContent extends TlsMaterial {
  readonly version: string
}

/**
 * Opens the files and follows their changes. A certificate that has expired, and a bundle with a
 * part that is damaged, are used as far as they go: both are logged and stand in health. A later
 * version that is damaged is not used.
 *
 * @param onChange called with each later version: `(material) => server.setSecureContext(material)`
 * @throws SluiceError IdentityFileInvalid
 */
export async function openTlsFiles(
  dependencies: ReloadedFileDependencies,
  files: TlsFiles,
  onChange: (material: TlsMaterial) => void,
): Promise<ReloadedFile<TlsMaterial>> {
  const watch = createValidityWatch(dependencies, files)
  let isFirst = true
  const reloaded = await openReloaded<TlsContent, CheckedMaterial>(dependencies, {
    file: files.certificateFile,
    kind: 'tls',
    title: 'the TLS certificate',
    read: () => readFiles(files, dependencies.reads),
    look: () => versionOf(files, dependencies.reads),
    parse: (content) => {
      const checked = check(content, files)
      watch.damage(checked.faults)
      const [fault] = checked.faults
      if (fault && !isFirst) throw invalidFile(fault.file, fault.problem)
      isFirst = false
      watch.follow(checked.certificates)
      return checked
    },
    onChange: ({ material }) => onChange(material),
  })
  return {
    current: () => reloaded.current().material,
    isUnreadable: () => reloaded.isUnreadable(),
    reload: () => reloaded.reload(),
    close() {
      reloaded.close()
      watch.close()
    },
  }
}

/** One version for all files; undefined if one is missing, which `readFiles` then names. */
async function versionOf(files: TlsFiles, reads?: FileReads): Promise<string | undefined> {
  const { certificateFile, keyFile, authorityFile } = files
  const versions = await Promise.all(
    [certificateFile, keyFile, authorityFile]
      .filter((file) => file !== undefined)
      .map((file) => versionOfFile(file, reads)),
  )
  return versions.includes(undefined) ? undefined : versions.join(' ')
}

async function readFiles(files: TlsFiles, reads?: FileReads): Promise<TlsContent> {
  const [certificate, key, authority] = await Promise.all([
    readPublicFile(files.certificateFile, reads),
    readSecretFile(files.keyFile, reads),
    files.authorityFile === undefined ? undefined : readPublicFile(files.authorityFile, reads),
  ])
  if (!certificate) throw invalidFile(files.certificateFile, 'is not there')
  if (!key) throw invalidFile(files.keyFile, 'is not there')
  if (files.authorityFile !== undefined && !authority) {
    throw invalidFile(files.authorityFile, 'is not there')
  }
  return {
    cert: certificate.text,
    key: key.text,
    ca: authority?.text,
    version: [certificate, key, authority].flatMap((file) => file?.version ?? []).join(' '),
  }
}

interface CheckedMaterial {
  readonly material: TlsMaterial
  readonly certificates: readonly FiledCertificate[]
  readonly faults: readonly FileFault[]
}

function check({ cert, key, ca }: TlsContent, files: TlsFiles): CheckedMaterial {
  const { certificateFile, keyFile, authorityFile = '' } = files
  const certificate = tryTo(certificateFile, () => new X509Certificate(cert))
  const privateKey = tryTo(keyFile, () => createPrivateKey(key))
  if (!certificate.checkPrivateKey(privateKey)) {
    throw invalidFile(keyFile, `is not the key of ${certificateFile}`)
  }
  const chain = readPemBundle(cert)
  const material = { cert: textOf(chain), key }
  // TLS may refuse the pair for other reasons, which must not appear at the first client.
  tryTo(certificateFile, () => createSecureContext(material))
  if (ca === undefined) return { material, ...partsOf(certificateFile, chain) }
  const authorities = readPemBundle(ca)
  if (authorities.certificates.length === 0) {
    tryTo(authorityFile, () => new X509Certificate(ca))
  }
  const [own, others] = [partsOf(certificateFile, chain), partsOf(authorityFile, authorities)]
  return {
    material: { ...material, ca: textOf(authorities) },
    certificates: [...own.certificates, ...others.certificates],
    faults: [...own.faults, ...others.faults],
  }
}

const textOf = ({ certificates }: PemBundle) => certificates.map(({ pem }) => pem).join('')

function partsOf(file: string, { certificates, faults }: PemBundle) {
  return {
    certificates: certificates.map((certificate) => ({ ...certificate, file })),
    faults: faults.map((problem) => ({ file, problem })),
  }
}

function tryTo<Result>(file: string, call: () => Result): Result {
  try {
    return call()
  } catch (thrown) {
    throw invalidFile(file, messageOf(thrown), thrown)
  }
}

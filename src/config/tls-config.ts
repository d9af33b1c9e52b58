import path from 'node:path'
import { SluiceError } from '../base/errors.ts'
import type { Variables } from './variables.ts'

/** Absolute paths of PEM files. */
export interface TlsFiles {
  readonly certificateFile: string
  readonly keyFile: string
  /** CAs of client certificates; without it no client is asked for a certificate. */
  readonly authorityFile: string | undefined
}

/** Where the CA is that issues certificates of clients. */
export type IssuingAuthority =
  | { readonly kind: 'files'; readonly certificateFile: string; readonly keyFile: string }
  /** A folder as `sluice certs` makes it; it is made when the first certificate is asked for. */
  | { readonly kind: 'folder'; readonly directory: string }
  | { readonly kind: 'none' }

type TlsVariables = Pick<
  Variables,
  'SLUICE_TLS_CERT_FILE' | 'SLUICE_TLS_KEY_FILE' | 'SLUICE_TLS_CA_FILE' | 'SLUICE_HTTP_TLS'
>

export function tlsFilesOf(read: TlsVariables): TlsFiles | undefined {
  const {
    SLUICE_TLS_CERT_FILE: certificate,
    SLUICE_TLS_KEY_FILE: key,
    SLUICE_TLS_CA_FILE: authority,
  } = read
  if (certificate === undefined && key === undefined && authority === undefined) return undefined
  if (certificate === undefined || key === undefined) {
    const missing = certificate === undefined ? 'SLUICE_TLS_CERT_FILE' : 'SLUICE_TLS_KEY_FILE'
    throw new SluiceError(
      'ConfigInvalid',
      `${missing} is not set: TLS needs a certificate and its key`,
    )
  }
  return {
    certificateFile: path.resolve(certificate),
    keyFile: path.resolve(key),
    authorityFile: authority && path.resolve(authority),
  }
}

/**
 * The lab without a CA makes one of its own. With one, its key is looked for where `sluice certs`
 * writes it.
 */
export function issuingAuthorityOf(
  { SLUICE_TLS_CA_KEY_FILE: key }: Pick<Variables, 'SLUICE_TLS_CA_KEY_FILE'>,
  {
    mode,
    tls,
    dataDir,
  }: {
    readonly mode: 'lab' | 'start'
    readonly tls: TlsFiles | undefined
    readonly dataDir: string
  },
): IssuingAuthority {
  const certificateFile = tls?.authorityFile
  if (key !== undefined && certificateFile === undefined) {
    throw new SluiceError(
      'ConfigInvalid',
      'SLUICE_TLS_CA_KEY_FILE needs SLUICE_TLS_CA_FILE, the certificate of the CA',
    )
  }
  if (certificateFile === undefined) {
    const directory = path.join(dataDir, 'certs')
    return mode === 'lab' ? { kind: 'folder', directory } : { kind: 'none' }
  }
  if (key !== undefined) return { kind: 'files', certificateFile, keyFile: path.resolve(key) }
  const keyFile = certificateFile.replace(/(?:\.pem)?$/, '-key.pem')
  return mode === 'lab' ? { kind: 'files', certificateFile, keyFile } : { kind: 'none' }
}

export function isHttpOverTls(
  { SLUICE_HTTP_TLS: given }: TlsVariables,
  tls: TlsFiles | undefined,
): boolean {
  if (given !== 'on') return given === undefined && tls !== undefined
  if (tls !== undefined) return true
  throw new SluiceError(
    'ConfigInvalid',
    'SLUICE_HTTP_TLS=on needs SLUICE_TLS_CERT_FILE and SLUICE_TLS_KEY_FILE',
  )
}

import { X509Certificate } from 'node:crypto'
import { messageOf } from '../../base/errors.ts'

/**
 * The certificates of a PEM file. OpenSSL reads a bundle up to the first block that it cannot read,
 * and says nothing about that block and those behind it.
 */
export interface PemBundle {
  readonly certificates: readonly BundledCertificate[]
  /** What is damaged, one sentence each: `certificate 2 cannot be read: ...`. */
  readonly faults: readonly string[]
}

interface BundledCertificate {
  readonly pem: string
  /** For people: the name, and its place in the file. */
  readonly title: string
  readonly validFromMs: number
  readonly validToMs: number
}

const begin = '-----BEGIN '
const certificateBlock =
  /^-----BEGIN (?:TRUSTED |X509 )?CERTIFICATE-----[^-]*-----END (?:TRUSTED |X509 )?CERTIFICATE-----/

/** @param text of a file; what stands between the blocks is a comment */
export function readPemBundle(text: string): PemBundle {
  const certificates: BundledCertificate[] = []
  const faults: string[] = []
  for (const [index, part] of text.split(begin).slice(1).entries()) {
    const place = `certificate ${index + 1}`
    const [pem] = certificateBlock.exec(`${begin}${part}`) ?? []
    if (pem === undefined) {
      faults.push(`${place} is cut off, or is no certificate`)
      continue
    }
    try {
      certificates.push(read(pem, place))
    } catch (thrown) {
      faults.push(`${place} cannot be read: ${messageOf(thrown)}`)
    }
  }
  return { certificates, faults }
}

function read(pem: string, place: string): BundledCertificate {
  const { subject, validFrom, validTo } = new X509Certificate(pem)
  const name = subject.replaceAll('\n', ', ')
  return {
    pem: `${pem}\n`,
    title: name === '' ? place : `${place} (${name})`,
    validFromMs: Date.parse(validFrom),
    validToMs: Date.parse(validTo),
  }
}
